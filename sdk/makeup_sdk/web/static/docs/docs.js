// The API reference, generated from the OpenAPI document.

function h(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const plain = (text) => (text ?? "").replaceAll("`", "");

/** A short description of a value's type. */
function kind(schema) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return [h("a", { href: `#${name}` }, name)];
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.flatMap((one, i) => (i ? [" or ", ...kind(one)] : kind(one)));
  if (schema.enum) return [schema.enum.join(", ")];
  if (schema.type === "array") return ["list of ", ...kind(schema.items ?? {})];
  const range = "minimum" in schema ? ` ${schema.minimum} to ${schema.maximum}` : "";
  return [`${schema.type ?? "anything"}${range}`];
}

function fields({ properties = {}, required = [] }) {
  const rows = Object.entries(properties).map(([name, schema]) => {
    const start = "default" in schema && schema.default !== null ? JSON.stringify(schema.default) : "";
    return h("tr", {},
      h("td", {}, h("code", {}, name)), h("td", {}, ...kind(schema)),
      h("td", {}, required.includes(name) ? "required" : start), h("td", {}, plain(schema.description)));
  });
  const head = h("tr", {}, ...["field", "is", "default", "meaning"].map((text) => h("th", {}, text)));
  return h("div", { className: "wide", tabIndex: 0 }, h("table", {}, head, ...rows));
}

const api = await (await fetch("../v1/openapi.json")).json();
document.getElementById("about").textContent = api.info.description;
for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, call] of Object.entries(methods)) {
    const body = call.requestBody?.content["application/json"].schema;
    document.getElementById("calls").append(
      h("h3", {}, h("b", {}, method.toUpperCase()), h("code", {}, path)),
      h("p", {}, plain(call.description)),
      body ? h("p", { className: "soft" }, "Takes ", ...kind(body), ".") : "",
    );
  }
}
for (const [name, schema] of Object.entries(api.components.schemas)) {
  if (name.includes("Validation")) continue;
  document.getElementById("types").append(h("h3", { id: name }, name), h("p", {}, plain(schema.description)), fields(schema));
}
