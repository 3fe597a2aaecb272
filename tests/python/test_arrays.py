"""Arrays of every kind come back as read-only ndarrays with their dtype and shape."""

from __future__ import annotations

import array
import ctypes
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from kv_storage import KindError, MissingKeyError, Storage

KV = Storage.memory(max_memory=64 * 1024 * 1024)

Array = npt.NDArray[Any]


def assert_same_array(actual: Array, expected: Array) -> None:
    assert type(actual) is np.ndarray
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    assert actual.tobytes() == expected.tobytes()
    assert not actual.flags.writeable
    assert actual.flags.c_contiguous


dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
    hnp.complex_number_dtypes(endianness="?"),
    hnp.datetime64_dtypes(endianness="?"),
    hnp.timedelta64_dtypes(endianness="?"),
    hnp.byte_string_dtypes(endianness="?"),
    hnp.unicode_string_dtypes(endianness="?"),
    hnp.nested_dtypes(),
)


@given(st.data())
def test_arrays_of_any_dtype_and_shape(data: st.DataObject) -> None:
    dtype = data.draw(dtypes)
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    value: Array = np.frombuffer(
        data.draw(st.binary(min_size=(size := int(np.prod(shape)) * dtype.itemsize), max_size=size)) or b"",
        np.uint8,
    ).copy()
    value = np.ndarray(shape, dtype, value.tobytes() or b"\0")
    KV["array"] = value
    assert_same_array(KV["array"], value)
    KV["nested"] = {"array": [value]}
    assert_same_array(KV["nested"]["array"][0], value)


@pytest.mark.parametrize("elements", [0, 1, 100, 128, 129, 1000, 100_000])
@pytest.mark.parametrize(
    "dtype", ["f8", ">f4", "M8[ns]", "m8[s]", "U3", "i1,f8", [("a", "<i4"), ("b", ">f8", (2, 2))]]
)
def test_sizes_on_both_sides_of_the_limit_for_views(kv: Storage, elements: int, dtype: Any) -> None:
    value = np.zeros(elements, dtype)
    if elements:
        value.view("u1")[:] = np.arange(value.nbytes) % 100
        if "U" in str(value.dtype):
            value[:] = "aé"
    kv["array"] = value
    assert_same_array(kv["array"], value)
    assert_same_array(kv.get_many(["array"])[0], value)
    assert_same_array(dict(kv)["array"], value)


def test_structured_dtypes_keep_names_offsets_and_padding(kv: Storage) -> None:
    dtype = np.dtype({"names": ["x", "y"], "formats": ["u1", "<f8"], "offsets": [3, 8], "itemsize": 24})
    value = np.zeros(5, dtype)
    value["y"] = range(5)
    kv["array"] = value
    assert kv["array"].dtype == dtype
    assert kv["array"]["y"].tolist() == [0, 1, 2, 3, 4]


def test_arrays_that_are_not_contiguous_are_copied_to_c_order(kv: Storage) -> None:
    base = np.arange(24.0).reshape(4, 6)
    for value in (
        base.T,
        base[::2, ::-1],
        np.asfortranarray(base),
        base[:, :0],
        np.broadcast_to(1.0, (3, 3)),
    ):
        kv["array"] = value
        assert_same_array(kv["array"], np.ascontiguousarray(value))


def test_arrays_of_one_dtype_in_every_shape_and_order(kv: Storage) -> None:
    dtype = np.dtype("i4")
    for value in (
        np.arange(6, dtype=dtype),
        np.arange(6, dtype=dtype).reshape(2, 3),
        np.arange(6, dtype=dtype).reshape(2, 3).T,
        np.arange(6, dtype=dtype)[::-2],
        np.array(5, dtype),
        np.empty((3, 0), dtype),
        np.arange(6, dtype=dtype).astype(">i4"),
        np.arange(6, dtype=dtype),
    ):
        kv["array"] = value
        assert_same_array(kv["array"], np.ascontiguousarray(value).reshape(value.shape))


def test_fields_that_get_other_names_in_place(kv: Storage) -> None:
    value = np.zeros(3, [("a", "i4"), ("b", "f8")])
    kv["before"] = value
    value.dtype.names = ("x", "y")
    kv["after"] = value
    assert kv["before"].dtype.names == ("a", "b")
    assert kv["after"].dtype.names == ("x", "y")


def test_zero_dimensional_arrays_stay_so(kv: Storage) -> None:
    for value in (np.array(5), np.array("2024-01-01", "M8[D]"), np.array((1, 2.0), "i4,f8")):
        kv["array"] = value
        assert_same_array(kv["array"], value)


@pytest.mark.parametrize(
    "value",
    [
        bytearray(b"bytes"),
        bytearray(),
        array.array("d", [1.0, 2.0]),
        array.array("H", []),
        memoryview(b"abc"),
        memoryview(b"abcdef")[::2],
        memoryview(bytearray(24)).cast("d", (3, 1)),
        (ctypes.c_int * 3)(1, 2, 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_exporters_come_back_as_arrays(kv: Storage, value: Any) -> None:
    kv["array"] = value
    assert_same_array(kv["array"], np.array(value))


def test_a_mapped_file_comes_back_as_an_array(kv: Storage) -> None:
    with mmap.mmap(-1, 100) as mapped:
        mapped[:5] = b"hello"
        kv["array"] = mapped
    assert bytes(kv["array"][:5]) == b"hello"


@pytest.mark.parametrize(
    "value",
    [
        np.array([None]),
        np.array(["text"], object),
        np.zeros(2, [("a", "i4"), ("b", "O")]),
        np.array([b"", "é"], object),
    ],
)
def test_arrays_of_objects_are_refused(kv: Storage, value: Array) -> None:
    with pytest.raises(KindError, match=r"tolist\(\)"):
        kv["array"] = value
    assert "array" not in kv


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (np.float64(1.5), r"float\(value\)"),
        (np.str_("a"), r"str\(value\)"),
        (np.bytes_(b"a"), r"bytes\(value\)"),
        (np.int64(1), r"value\.item\(\)"),
        (np.float32(1), r"value\.item\(\)"),
        (np.bool_(True), r"value\.item\(\)"),
        (np.datetime64("2024-01-01"), r"value\.item\(\)"),
        (np.zeros(1, "i4,i4")[0], r"value\.item\(\)"),
        (np.ma.masked_array([1, 2], [True, False]), r"np\.asarray\(value\)"),
        (np.zeros(3).view(np.recarray), r"np\.asarray\(value\)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numpy_scalars_and_subclasses_are_refused_with_advice(kv: Storage, value: Any, advice: str) -> None:
    with pytest.raises(KindError, match=advice):
        kv["value"] = value


def test_string_dtype_of_variable_width_is_refused(kv: Storage) -> None:
    with pytest.raises(TypeError):
        kv["value"] = np.array(["a"], np.dtypes.StringDType())


def test_compare_and_set_of_arrays(kv: Storage) -> None:
    kv["a"] = np.arange(5)
    assert not kv.compare_and_set("a", np.arange(5.0), 1)
    assert not kv.compare_and_set("a", np.arange(5).reshape(5, 1), 1)
    assert kv.compare_and_set("a", np.arange(5), np.arange(6))
    assert kv["a"].tolist() == [0, 1, 2, 3, 4, 5]


def test_large_arrays_are_not_copied_by_get(kv: Storage) -> None:
    kv["a"] = np.arange(100_000.0)
    before = kv.stats()["pins"]
    first, second = kv["a"], kv["a"]
    assert first.__array_interface__["data"][0] == second.__array_interface__["data"][0]
    assert kv.stats()["pins"] > before
    del first, second
    assert kv.stats()["pins"] == before


def test_values_of_arrays_are_aligned(kv: Storage) -> None:
    for i in range(50):
        kv["k" * (i + 1)] = np.arange(1000.0)
        assert kv["k" * (i + 1)].flags.aligned


# ---- edit ----


def test_edit_publishes_on_exit(kv: Storage) -> None:
    kv["a"] = np.arange(1000.0)
    seen = kv["a"]
    with kv.edit("a") as a:
        a *= 2
        assert kv["a"][1] == 1.0
    assert kv["a"][1] == 2.0
    assert seen[1] == 1.0


def test_edit_publishes_nothing_after_an_exception(kv: Storage) -> None:
    kv["a"] = np.zeros(3)
    with pytest.raises(ZeroDivisionError), kv.edit("a") as a:
        a[0] = 1 / 0
    assert kv["a"].tolist() == [0, 0, 0]


def test_edit_of_no_array_is_refused(kv: Storage) -> None:
    with pytest.raises(MissingKeyError), kv.edit("absent"):
        pass
    kv["text"] = "text"
    with pytest.raises(KindError, match="str"), kv.edit("text"):
        pass


# ---- rows ----


def test_put_many_of_a_matrix_gives_each_key_a_row(kv: Storage) -> None:
    matrix = np.arange(12.0).reshape(3, 4)
    kv.put_many(["a", "b", "c"], matrix)
    assert_same_array(kv["b"], matrix[1])
    cube = np.arange(24, dtype=">i2").reshape(2, 3, 4).transpose(0, 2, 1)
    kv.put_many(["x", "y"], cube)
    assert_same_array(kv["y"], np.ascontiguousarray(cube[1]))
    with pytest.raises(ValueError, match="2 keys and 3 rows"):
        kv.put_many(["a", "b"], matrix)


def test_put_many_of_a_vector_gives_each_key_a_number(kv: Storage) -> None:
    kv.put_many(["a", "b"], np.array([1.5, 2.5], "f4"))
    assert kv["b"] == 2.5
    assert type(kv["b"]) is float
