/** The product's sample data: the order that is sent, and two tables that make the product look lived in. */

import { type Branch, h, paint } from "../../src/dom";

const ORDER_LINES: [article: string, amount: string][] = [
  ["2 × Oak side table", "138.00 €"],
  ["1 × Linen lampshade", "46.50 €"],
];

const CONTACTS = [
  ["Mia Novak", "Novak Interiors", "mia@novak.example", "Customer"],
  ["Tom Becker", "Becker & Sons", "tom@becker.example", "Customer"],
  ["Aiko Tanaka", "Studio Tanaka", "aiko@tanaka.example", "Lead"],
  ["Luc Moreau", "Hôtel Moreau", "luc@moreau.example", "Lead"],
  ["Sara Lindqvist", "Lindqvist Design", "sara@lindqvist.example", "Customer"],
];

const ORDERS = [
  ["A-1042", "Mia Novak", "184.50 €", "Closed"],
  ["A-1041", "Tom Becker", "1,290.00 €", "Shipped"],
  ["A-1040", "Sara Lindqvist", "420.00 €", "Shipped"],
  ["A-1039", "Mia Novak", "72.00 €", "Shipped"],
];

function table(heads: string[], rows: string[][]): Branch {
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
    h(
      "tbody",
      {},
      ...rows.map((cells) =>
        h("tr", {}, ...cells.map((cell, at) => (at === 0 ? h("th", { scope: "row" }, cell) : h("td", {}, cell)))),
      ),
    ),
  );
}

function drawInto(id: string, ...branches: Branch[]): void {
  const box = document.getElementById(id);
  if (box) paint(box, branches);
}

export function drawSamples(): void {
  drawInto(
    "sample",
    h("div", { class: "order-head" }, h("strong", {}, "Order A-1042"), h("span", { class: "tag" }, "Closed")),
    h("p", { class: "faint" }, "Mia Novak, Novak Interiors"),
    h("dl", {}, ...ORDER_LINES.flatMap(([article, amount]) => [h("dt", {}, article), h("dd", {}, amount)])),
    h("div", { class: "order-sum" }, h("span", {}, "Total"), h("strong", {}, "184.50 €")),
  );
  drawInto("contact-table", table(["Name", "Company", "E-mail", "Status"], CONTACTS));
  drawInto("order-table", table(["Order", "Customer", "Total", "Status"], ORDERS));
}
