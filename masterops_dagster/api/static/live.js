// Takes over the parts of the page that changed, so that what is open stays open and focus stays where it is.
const state = document.getElementById("state"), live = document.getElementById("live");
const base = state.dataset.live;
let version = state.dataset.version;

async function renew(next) {
  const answer = await fetch(base + "/state?v=" + next);
  if (!answer.ok) return;
  const fresh = document.createElement("div");
  fresh.innerHTML = await answer.text();
  const opened = new Map([...state.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
  for (const one of fresh.querySelectorAll("details[id]")) if (opened.has(one.id)) one.open = opened.get(one.id);
  const held = document.activeElement.closest("details[id]")?.id;
  const now = [...state.children], then = [...fresh.children];
  if (now.length === then.length && now.every((one, i) => one.id === then[i].id)) {
    now.forEach((one, i) => one.isEqualNode(then[i]) || one.replaceWith(then[i]));
  } else state.replaceChildren(...then);
  if (held && !document.activeElement.closest("details")) document.querySelector(`#${held} summary`)?.focus({ preventScroll: true });
  version = next;
  document.title = document.title.replace(/^.*(?= · )/, state.querySelector("h1").textContent);
}

const source = new EventSource(base + "/events?seen=" + version);
source.onopen = () => live.classList.add("on");
source.onerror = () => live.classList.remove("on");
source.onmessage = ({ data }) => {
  const [next, time] = data.split(" ");
  document.getElementById("gathered").textContent = time;
  if (next !== version) renew(next);
};
