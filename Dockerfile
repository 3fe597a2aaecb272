# The flight recommendation service in a container: docs/container.md.

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY requirements requirements
COPY scripts/setup.sh scripts/setup.sh
RUN scripts/setup.sh && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset release && cmake --build --preset release && ctest --preset release
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --quiet -r requirements/run.txt \
 && cmake --install build/release --prefix /opt/venv --component runtime --strip
RUN /opt/venv/bin/python scripts/fetch_flights.py

FROM debian:bookworm-slim
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
      python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin runner
COPY --from=build /opt/venv /opt/venv
COPY --from=build /src/configs /app/configs
COPY --from=build /src/scripts/main.py /app/scripts/main.py
COPY --from=build /src/scripts/flights /app/scripts/flights
COPY --from=build /src/data /app/data
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /app
USER runner
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
ENTRYPOINT ["runner"]
CMD ["--native_configuration=configs/flights.ini", "scripts/main.py", "--host", "0.0.0.0"]
