/**
 * Draws the widget and the demo: a view is a function from state to a small tree, and `paint` changes only what differs, so
 * that focus, selection and a screen reader's place survive every update.
 *
 * Elements are made with createElement and filled with text nodes alone. No string ever becomes markup, which
 * is why these pages need neither `unsafe-inline` nor a Trusted Types policy.
 */

type Listener = (event: Event) => void;
export type Attribute = string | number | boolean | null | undefined | Listener;
export type Child = Branch | string | number | false | null | undefined;

export interface Branch {
  tag: string;
  key: string | null;
  attributes: Record<string, Attribute>;
  children: (Branch | string)[];
}

interface Drawn {
  branch: Branch;
  listeners: Map<string, Listener>;
}

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "circle"]);
const drawn = new WeakMap<Element, Drawn>();

export function h(tag: string, attributes: Record<string, Attribute> = {}, ...children: (Child | Child[])[]): Branch {
  const { key, ...rest } = attributes;
  const kept = children
    .flat()
    .filter((child) => child !== false && child !== null && child !== undefined && child !== "");
  return {
    tag,
    key: key === undefined || key === null ? null : String(key),
    attributes: rest,
    children: kept.map((child) => (typeof child === "number" ? String(child) : (child as Branch | string))),
  };
}

function setAttribute(element: Element, state: Drawn, name: string, value: Attribute): void {
  if (typeof value === "function") {
    const type = name.slice(2);
    if (!state.listeners.has(type)) element.addEventListener(type, (event) => state.listeners.get(type)?.(event));
    state.listeners.set(type, value);
  } else if (value === false || value === null || value === undefined) {
    element.removeAttribute(name);
  } else {
    const text = value === true ? "" : String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}

function create(branch: Branch): Element {
  const element = SVG_TAGS.has(branch.tag)
    ? document.createElementNS(SVG, branch.tag)
    : document.createElement(branch.tag);
  drawn.set(element, { branch: { ...branch, attributes: {} }, listeners: new Map() });
  update(element, branch);
  return element;
}

function update(element: Element, branch: Branch): void {
  const state = drawn.get(element);
  if (!state) return;
  for (const name of Object.keys(state.branch.attributes)) {
    if (name in branch.attributes) continue;
    if (name.startsWith("on")) state.listeners.delete(name.slice(2));
    else element.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(branch.attributes)) setAttribute(element, state, name, value);
  state.branch = branch;
  paint(element, branch.children);
}

function fits(node: ChildNode | null | undefined, child: Branch | string): boolean {
  if (!node) return false;
  if (typeof child === "string") return node.nodeType === Node.TEXT_NODE;
  const branch = node instanceof Element ? drawn.get(node)?.branch : undefined;
  return branch !== undefined && branch.tag === child.tag && branch.key === child.key;
}

/** Makes the children of `parent` be `children`, keeping every node that still has its place. */
export function paint(parent: ParentNode & Node, children: (Branch | string)[]): void {
  let here: ChildNode | null = parent.firstChild;
  for (const child of children) {
    let match: ChildNode | null = here;
    while (match && !fits(match, child)) match = match.nextSibling;
    if (!match) {
      const made = typeof child === "string" ? document.createTextNode(child) : create(child);
      parent.insertBefore(made, here);
      continue;
    }
    while (here && here !== match) {
      const gone: ChildNode = here;
      here = here.nextSibling;
      gone.remove();
    }
    here = match.nextSibling;
    if (typeof child === "string") {
      if (match.nodeValue !== child) match.nodeValue = child;
    } else {
      update(match as Element, child);
    }
  }
  while (here) {
    const gone: ChildNode = here;
    here = here.nextSibling;
    gone.remove();
  }
}
