// @vitest-environment happy-dom
/** Every field type is drawn, a new one as text; what a template wrote never becomes markup. */
import { MantineProvider } from "@mantine/core";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import type { Field } from "../src/api";
import { FieldView } from "../wizard/src/fields/field";
import { FormProvider } from "../wizard/src/fields/form";
import { textOfHtml } from "../wizard/src/fields/text-block";
import { theme } from "../wizard/src/theme";

const ports = {
  errors: { u: "Please look." },
  vendor: "Acme",
  change: () => {},
  touch: () => {},
  creations: new Map(),
  consent: () => Promise.reject(new Error("not asked")),
  connected: () => Promise.resolve(null),
};

function draw(field: Partial<Field>, value: unknown = null): string {
  return renderToStaticMarkup(
    <MantineProvider env="test" theme={theme}>
      <FormProvider value={ports}>
        <FieldView
          field={{ uuid: "u", name: "n", label: "The label", type: "text", ...field } as Field}
          path="u"
          value={value}
          change={() => {}}
        />
      </FormProvider>
    </MantineProvider>,
  ).replace(/<style.*?<\/style>/gs, "");
}

const component = (over: object) => ({
  kind: "key" as const,
  app: "http",
  label: "Key",
  existing: [{ id: 5, label: "My key" }],
  canReuse: true,
  canCreate: true,
  createFields: [{ name: "key", label: "API key", type: "password" }],
  hookUrl: null,
  ...over,
});

test.each([
  ["text", 'id="f-u"'],
  ["any", 'id="f-u"'],
  ["url", 'inputMode="url"'],
  ["email", 'inputMode="email"'],
  ["number", 'inputMode="decimal"'],
  ["integer", 'inputMode="numeric"'],
  ["uinteger", 'inputMode="numeric"'],
  ["port", 'inputMode="numeric"'],
  ["boolean", 'type="checkbox"'],
  ["date", 'type="date"'],
  ["time", 'type="time"'],
  ["timestamp", 'type="datetime-local"'],
  ["timezone", "The label"],
  ["json", "<textarea"],
  ["color", 'type="color"'],
  ["uuid", 'id="f-u"'],
  ["array", "<fieldset"],
  ["collection", "<fieldset"],
  ["file", "The label"],
  ["radio", 'role="radiogroup"'],
  ["markdown", "notice"],
  ["html", "notice"],
  ["banner", "notice"],
  ["separator", "separator"],
  ["hologram", 'id="f-u"'],
])("a field of type %s is drawn", (type, mark) => {
  expect(draw({ type }).toLowerCase()).toContain(mark.toLowerCase());
});

test("a hidden field is not drawn", () => {
  expect(draw({ type: "hidden" })).toBe("");
});

test("label, help and complaint are tied to the control", () => {
  const html = draw({ help: "Where orders go", required: true });
  expect(html).toMatch(/<label[^>]*for="f-u"[^>]*>The label<\/label>/);
  expect(html).toContain('aria-describedby="f-u-error  f-u-description"');
  expect(html).toContain('aria-invalid="true"');
  expect(html).toMatch(/id="f-u-error"[^>]*>Please look\./);
});

test("few options are a list to choose from, several may be chosen where the field says so", () => {
  const options = [
    { label: "One", value: 1 },
    { label: "Two", value: 2 },
  ];
  expect(draw({ type: "select", options }, 2)).toMatch(/<option value="1" selected="">Two/);
  expect(draw({ type: "select", options, multiple: true }, [2]).match(/type="checkbox"/g)).toHaveLength(2);
});

test("a key offers what exists and a new one; a hook shows its address", () => {
  const picker = draw({ type: "key", component: component({}) }, 5);
  expect(picker).toContain("My key");
  expect(picker).toContain("Create a new one");
  expect(draw({ type: "key", component: component({ existing: [] }) })).toContain('type="password"');
  expect(draw({ type: "key", component: component({ existing: [], canCreate: false }) })).toContain("Ask Acme");
  expect(draw({ type: "hook", component: component({ kind: "hook" }) })).toContain("made when you continue");
  expect(draw({ type: "hook", component: component({ kind: "hook", hookUrl: "https://b.example/hook/x" }) })).toContain(
    "https://b.example/hook/x",
  );
});

test("a connection that a provider gives is a button for each provider, and no form", () => {
  const providers = [
    { id: 1, name: "Shop" },
    { id: 2, name: "Mail" },
  ];
  const fresh = draw({ type: "connection", component: component({ kind: "connection", existing: [], providers }) });
  expect(fresh).toContain("Connect Shop");
  expect(fresh).toContain("Connect Mail");
  expect(fresh).not.toContain('type="password"');
  const lost = [{ id: 5, label: "My shop", needsConsent: true }];
  const again = draw(
    { type: "connection", component: component({ kind: "connection", existing: lost, providers }) },
    5,
  );
  expect(again).toContain("My shop has to be connected again");
  expect(again).toContain("Connect again");
});

test("what a template wrote never becomes markup", () => {
  expect(draw({ type: "html", help: "<b>Note</b><script>alert(1)</script>" })).not.toContain("<script");
  expect(draw({ type: "markdown", help: "<img src=x onerror=alert(1)> **bold** [bad](javascript:alert(1))" })).toMatch(
    /&lt;img src=x[^<]*<strong>bold<\/strong> bad/,
  );
  expect(textOfHtml("<p>a</p><style>b{}</style>")).toBe("a");
});
