// The page of the flight service: fills the form from /routes, asks /recommend, draws the answer.
// The question is kept in the address, so a ranking can be linked to and the browser's history works.
"use strict";

const form = document.getElementById("question");
const problem = document.getElementById("problem");
const answer = document.getElementById("answer");
const ranking = document.getElementById("ranking");
const first = { from: "EWR", to: "SFO", date: "2013-06-06" };
const minutes = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
let airports = {};
let routes = [];
let asked = 0;

const percent = (share) => `${(share * 100).toFixed(1)}%`;
const isoDate = (text) => text.replace(/^(\d\d)-(\d\d)-(\d{4})$/, "$3-$2-$1");
const longDate = (iso) =>
  new Date(`${iso}T12:00:00Z`).toLocaleDateString("en-GB", { dateStyle: "full", timeZone: "UTC" });

/** The decoded answer of the service; an Error with the service's own words (and details) if it refuses. */
async function fetchJson(path) {
  let response, body;
  try {
    response = await fetch(path);
    body = await response.json();
  } catch {
    throw new Error("The service does not answer. Is it still running?");
  }
  if (!response.ok) throw Object.assign(new Error(body.error), { details: body });
  return body;
}

function fillSelect(select, codes, chosen) {
  select.replaceChildren(
    ...codes.map((code) => {
      const name = airports[code] && airports[code] !== code ? ` – ${airports[code]}` : "";
      return new Option(code + name, code);
    }),
  );
  select.value = codes.includes(chosen) ? chosen : codes[0];
}

function fillDestinations(chosen) {
  const codes = routes.filter((route) => route.from === form.from.value).map((route) => route.to);
  fillSelect(form.to, codes, chosen);
}

/** Shows a question in the form, as far as the form can. */
function setForm(question) {
  const origins = [...new Set(routes.map((route) => route.from))];
  fillSelect(form.from, origins, question.from);
  fillDestinations(question.to);
  form.date.value = isoDate(question.date);
}

const questionInForm = () => Object.fromEntries(new FormData(form));
const questionInAddress = () => ({ ...first, ...Object.fromEntries(new URLSearchParams(location.search)) });

function lateness(delay) {
  const size = minutes.format(Math.abs(delay));
  if (size === "0") return "on the minute";
  return `${size} min ${delay > 0 ? "late" : "early"}`;
}

function historyText(flight) {
  if (flight.observations === 0) return "no other day on record";
  const days = flight.observations === 1 ? "day" : "days";
  const parts = [`on time ${flight.on_time} of ${flight.observations} ${days}`];
  if (flight.not_arrived > 0) parts.push(`${flight.not_arrived} did not arrive`);
  if (flight.median_arrival_delay !== null) parts.push(`median ${lateness(flight.median_arrival_delay)}`);
  return parts.join(", ");
}

function thatDayText(flight) {
  const delay = flight.arrival_delay_that_day;
  return `That day: ${delay === null ? "cancelled or diverted" : `arrived ${lateness(delay)}`}`;
}

function drawFlight(flight, average) {
  const row = document.getElementById("row").content.firstElementChild.cloneNode(true);
  const put = (selector, text) => (row.querySelector(selector).textContent = text);
  row.dataset.key = flight.key;
  put(".rank", `${flight.rank}.`);
  put(".flight", flight.flight);
  put(".airline", flight.airline);
  put(".times", `${flight.scheduled_departure} → ${flight.scheduled_arrival}`);
  put(".percent", percent(flight.punctuality));
  put(".history", historyText(flight));
  put(".that-day", thatDayText(flight));
  row.querySelector(".fill").style.width = `${flight.punctuality * 100}%`;
  row.querySelector(".bar .mark").style.left = `${average * 100}%`;
  return row;
}

function drawAnswer(found) {
  const { statistic, flights } = found;
  const average = statistic.route_punctuality;
  const best = flights[0];
  document.getElementById("title").textContent =
    `${found.from.name} to ${found.to.name}, ${longDate(isoDate(found.date))}`;
  document.getElementById("summary").textContent =
    `Take ${best.flight} at ${best.scheduled_departure}: ${percent(best.punctuality)} punctual. ` +
    `${flights.length === 1 ? "The only flight" : `Best of ${flights.length} flights`} that day, ` +
    `found in ${found.milliseconds.toFixed(1)} ms.`;
  document.getElementById("average").textContent =
    `The whole route: ${percent(average)} of ${statistic.route_observations.toLocaleString("en")} flights on other days.`;
  document.getElementById("definition").textContent = statistic.definition;
  ranking.replaceChildren(...flights.map((flight) => drawFlight(flight, average)));
}

/** Shows what is wrong, with a button for each date that would have flights. */
function drawProblem(error) {
  const text = document.createElement("p");
  text.textContent = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  problem.replaceChildren(text);
  const dates = error.details?.nearest_dates ?? [];
  if (dates.length === 0) return;
  text.textContent += ". The nearest days with one:";
  const list = document.createElement("ul");
  for (const date of dates) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = longDate(isoDate(date));
    button.addEventListener("click", () => {
      form.date.value = isoDate(date);
      form.requestSubmit();
    });
    const item = document.createElement("li");
    item.append(button);
    list.append(item);
  }
  problem.append(list);
}

/** Asks the service and shows the outcome; of two questions on their way only the later one's is shown. */
async function ask(question) {
  const turn = ++asked;
  let failure = null;
  let found = null;
  try {
    found = await fetchJson(`recommend?${new URLSearchParams(question)}`);
  } catch (error) {
    failure = error;
  }
  if (turn !== asked) return;
  answer.hidden = failure !== null;
  problem.hidden = failure === null;
  if (failure) drawProblem(failure);
  else drawAnswer(found);
}

form.addEventListener("change", (event) => {
  if (event.target === form.from) fillDestinations(form.to.value);
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const question = questionInForm();
  history.pushState(null, "", `?${new URLSearchParams(question)}`);
  await ask(question);
  if (!answer.hidden) document.getElementById("title").focus();
});

function askWhatAddressSays() {
  const question = questionInAddress();
  setForm(question);
  return ask(question);
}

window.addEventListener("popstate", askWhatAddressSays);

async function start() {
  try {
    const catalog = await fetchJson("routes");
    ({ airports, routes } = catalog);
    form.date.min = catalog.first_date;
    form.date.max = catalog.last_date;
    await askWhatAddressSays();
  } catch (error) {
    problem.hidden = false;
    drawProblem(error);
  }
}

start();
