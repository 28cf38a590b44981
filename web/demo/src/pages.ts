/** Shows one of the product's three pages, chosen by the address's fragment. */

const PAGES = ["integrations", "contacts", "orders"] as const;

function show(wanted: string): void {
  const chosen = PAGES.find((name) => name === wanted) ?? "integrations";
  for (const name of PAGES) {
    const page = document.getElementById(`page-${name}`);
    if (page) page.hidden = name !== chosen;
    const link = document.querySelector(`nav a[href="#${name}"]`);
    if (name === chosen) link?.setAttribute("aria-current", "page");
    else link?.removeAttribute("aria-current");
  }
  const title = document.querySelector(`#title-${chosen}`)?.textContent ?? "";
  document.title = `${title} – Acme CRM`;
}

export function showPages(): void {
  const here = () => location.hash.slice(1);
  show(here());
  addEventListener("hashchange", () => {
    if (here() === "content") return;
    show(here());
    scrollTo({ top: 0 });
  });
}
