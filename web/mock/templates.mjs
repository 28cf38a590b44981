/** The mock's templates: what the wizard asks for each, covering every field type of the contract. */

const key = (over = {}) => ({
  kind: "key",
  app: "http",
  label: "HTTP API key",
  existing: [
    { id: 5, label: "Shop key (created 3 May)" },
    { id: 6, label: "Test key" },
  ],
  canReuse: true,
  canCreate: true,
  createFields: [
    {
      name: "key",
      label: "API key",
      type: "password",
      required: true,
      help: "You find it in your shop under Settings › API.",
    },
    {
      name: "placement",
      label: "Sent as",
      type: "select",
      required: true,
      options: [
        { label: "Header", value: "header" },
        { label: "Query parameter", value: "query" },
      ],
      default: "header",
    },
  ],
  hookUrl: null,
  ...over,
});

const items = [
  { label: "Order id", expression: "{{1.id}}", from: "New order" },
  { label: "Order total", expression: "{{1.total}}", from: "New order" },
  { label: "Customer name", expression: "{{1.customer.name}}", from: "New order" },
  { label: "Customer e-mail", expression: "{{1.customer.email}}", from: "New order" },
  { label: "Shipping city", expression: "{{3.city}}", from: "Look up the address" },
];

const ordersToShop = {
  id: 1,
  name: "Send new orders to your shop system",
  description:
    "Every order your team closes in Acme CRM is sent to the address you choose, with the details you pick. Your shop needs to accept orders as JSON.",
  apps: [
    { name: "gateway", label: "Webhooks" },
    { name: "http", label: "HTTP" },
  ],
  scheduling: { type: "immediately" },
  steps: [
    {
      id: "connect",
      title: "Your shop",
      description: "How we sign in to your shop system when we send an order.",
      fields: [{ uuid: "k1", name: "key", label: "Shop key", type: "key", required: true, component: key() }],
    },
    {
      id: "where",
      title: "Where orders go",
      description: "Filled-in items are replaced by the real order every time the integration runs.",
      fields: [
        {
          uuid: "u1",
          name: "url",
          label: "API address",
          help: "Where orders are sent, beginning with https://",
          type: "url",
          required: true,
        },
        {
          uuid: "t1",
          name: "title",
          label: "Title of the order",
          type: "text",
          required: true,
          allowMapping: true,
          items,
          value: "Order {{1.id}}",
        },
        {
          uuid: "m1",
          name: "note",
          label: "Note for the warehouse",
          help: "Left empty, no note is sent.",
          type: "text",
          multiline: true,
          allowMapping: true,
          items,
        },
        {
          uuid: "p1",
          name: "priority",
          label: "Delivery",
          type: "select",
          required: true,
          value: "standard",
          options: [
            { label: "Standard", value: "standard" },
            { label: "Express", value: "express" },
            { label: "Pick-up by the customer", value: "pickup" },
          ],
        },
        {
          uuid: "s1",
          name: "store",
          label: "Pick-up store",
          type: "text",
          required: true,
          showWhen: { uuid: "p1", equals: "pickup" },
        },
        {
          uuid: "b1",
          name: "drafts",
          label: "Send drafts too",
          help: "Drafts are orders that nobody has confirmed yet.",
          type: "boolean",
          value: false,
        },
      ],
    },
    {
      id: "hook",
      title: "Tell us about changes",
      description: "Your shop can report back when an order is shipped.",
      fields: [
        {
          uuid: "h1",
          name: "hook",
          label: "Address for your shop",
          help: "Paste it into your shop under Settings › Webhooks.",
          type: "hook",
          required: true,
          component: {
            kind: "hook",
            app: "gateway",
            label: "Webhook",
            existing: [],
            canReuse: false,
            canCreate: true,
            createFields: [],
            hookUrl: null,
          },
        },
      ],
    },
  ],
};

const everyField = {
  id: 2,
  name: "Everything a form can ask",
  description: "One field of every kind.",
  apps: [
    { name: "json", label: "JSON" },
    { name: "datastore", label: "Data store" },
    { name: "http", label: "HTTP" },
  ],
  scheduling: { type: "indefinitely", interval: 900 },
  steps: [
    {
      id: "plain",
      title: "Plain answers",
      description: "",
      fields: [
        {
          uuid: "e0",
          name: "info",
          label: "Before you begin",
          help: "Have the number of your contract at hand.",
          type: "banner",
        },
        { uuid: "e1", name: "text", label: "Text", type: "text", required: true },
        {
          uuid: "e2",
          name: "number",
          label: "Number",
          type: "number",
          validate: { min: 1, max: 10 },
          help: "Between 1 and 10",
        },
        { uuid: "e3", name: "integer", label: "Whole number", type: "integer", value: 3 },
        { uuid: "e4", name: "uinteger", label: "Quantity", type: "uinteger" },
        { uuid: "e5", name: "port", label: "Port", type: "port", value: 443 },
        { uuid: "e6", name: "date", label: "First day", type: "date" },
        { uuid: "e7", name: "time", label: "Time of day", type: "time" },
        { uuid: "e8", name: "timestamp", label: "Start", type: "timestamp" },
        { uuid: "e9", name: "zone", label: "Time zone", type: "timezone", value: "Europe/Prague" },
        { uuid: "e10", name: "email", label: "E-mail", type: "email", value: "dana@acme-crm.example" },
        { uuid: "e11", name: "uuid", label: "Contract number", type: "uuid" },
        { uuid: "e12", name: "color", label: "Colour of the label", type: "color", value: "#3457d5" },
        {
          uuid: "e13",
          name: "unknown",
          label: "Something new",
          type: "hologram",
          help: "A type this version does not know is asked as text.",
        },
      ],
    },
    {
      id: "choices",
      title: "Choices and lists",
      description: "",
      fields: [
        {
          uuid: "c1",
          name: "select",
          label: "One of three",
          type: "select",
          options: [
            { label: "One", value: 1 },
            { label: "Two", value: 2 },
            { label: "Three", value: 3 },
          ],
        },
        {
          uuid: "c2",
          name: "radio",
          label: "Exactly one",
          type: "radio",
          required: true,
          options: [
            { label: "Now", value: "now" },
            { label: "Every night", value: "night" },
            { label: "Never", value: "never" },
          ],
        },
        {
          uuid: "c3",
          name: "many",
          label: "Several",
          type: "select",
          multiple: true,
          value: ["a"],
          options: [
            { label: "Alpha", value: "a" },
            { label: "Beta", value: "b" },
            { label: "Gamma", value: "c" },
          ],
        },
        {
          uuid: "c4",
          name: "country",
          label: "Country",
          type: "select",
          allowMapping: true,
          items,
          options: [
            "Austria",
            "Belgium",
            "Czechia",
            "Denmark",
            "Estonia",
            "Finland",
            "France",
            "Germany",
            "Greece",
            "Hungary",
            "Ireland",
            "Italy",
            "Latvia",
            "Norway",
            "Poland",
            "Spain",
          ].map((label) => ({ label, value: label })),
        },
        {
          uuid: "c5",
          name: "tags",
          label: "Tags",
          type: "array",
          spec: { name: "tag", label: "Tag", type: "text" },
          value: ["new", "web"],
          validate: { maxItems: 4 },
        },
        {
          uuid: "c6",
          name: "headers",
          label: "Headers",
          type: "array",
          value: [{ name: "X-Source", value: "acme" }],
          spec: [
            { name: "name", label: "Name", type: "text", required: true },
            { name: "value", label: "Value", type: "text" },
          ],
        },
        {
          uuid: "c7",
          name: "address",
          label: "Delivery address",
          type: "collection",
          spec: [
            { name: "street", label: "Street", type: "text", required: true },
            { name: "city", label: "City", type: "text", required: true },
            { name: "lift", label: "There is a lift", type: "boolean" },
          ],
        },
        { uuid: "c8", name: "line", label: "", type: "separator" },
        { uuid: "c9", name: "json", label: "Extra data", type: "json", value: { source: "crm", retries: 2 } },
        {
          uuid: "c10",
          name: "md",
          label: "Good to know",
          type: "markdown",
          help: "Extra data is sent **as it is**. Read [the guide](https://example.com/guide) first.",
        },
        {
          uuid: "c11",
          name: "html",
          label: "",
          type: "html",
          help: "<b>Note:</b> <script>alert(1)</script>markup is shown as text.",
        },
        { uuid: "c12", name: "hidden", label: "", type: "hidden", value: "quiet" },
        { uuid: "c13", name: "file", label: "Logo", type: "file" },
      ],
    },
  ],
};

const newsletter = {
  id: 3,
  name: "Add new contacts to your newsletter",
  description: "Contacts who agreed to receive mail are added to the list you choose, once an hour.",
  apps: [
    { name: "http", label: "HTTP" },
    { name: "json", label: "JSON" },
  ],
  scheduling: { type: "indefinitely", interval: 3600 },
  steps: [
    {
      id: "connect",
      title: "Newsletter account",
      description: "",
      fields: [
        {
          uuid: "n1",
          name: "account",
          label: "Account",
          type: "connection",
          required: true,
          component: key({
            kind: "connection",
            label: "Mail account",
            existing: [],
            createFields: [
              { name: "host", label: "Server", type: "text", required: true },
              { name: "secret", label: "Access key", type: "password", required: true },
            ],
          }),
        },
      ],
    },
  ],
};

const deals = {
  id: 4,
  name: "Tell your team about won deals",
  description: "A message with customer and amount the moment a deal is won.",
  apps: [
    { name: "gateway", label: "Webhooks" },
    { name: "http", label: "HTTP" },
  ],
  scheduling: { type: "immediately" },
  steps: newsletter.steps,
};

export const TEMPLATES = [ordersToShop, everyField, newsletter, deals];
