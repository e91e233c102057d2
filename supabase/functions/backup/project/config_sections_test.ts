import assert from "node:assert/strict";
import fixture from "../../../../tests/fixtures/management_api.json" with { type: "json" };
import { CONFIG_LISTS } from "./config_lists.ts";
import { nest } from "./config_document.ts";
import type { ConfigSection, FieldValues } from "./config_section.ts";
import { CONFIG_SECTIONS, RESTORE_ORDER } from "./config_sections.ts";

// deno-lint-ignore no-explicit-any -- JSON Schema is walked as it is
type Node = any;

const PATHS = fixture.paths as Node;

/**
 * Places that are read by something else, or hold no settings. A new place of the document that is on no
 * list fails a test: it must be thought about.
 */
const NO_SETTINGS: Readonly<Record<string, string>> = {
  "/v1/projects/{ref}/api-keys": "secrets",
  "/v1/projects/{ref}/api-keys/legacy": "secrets",
  "/v1/projects/{ref}/api-keys/{id}": "secrets",
  "/v1/projects/{ref}/secrets": "secrets",
  "/v1/projects/{ref}/pgsodium": "a key in the clear: it is never asked for",
  "/v1/projects/{ref}/functions": "functions",
  "/v1/projects/{ref}/functions/{function_slug}": "functions",
  "/v1/projects/{ref}/functions/{function_slug}/body": "functions",
  "/v1/projects/{ref}/readonly": "a state of the moment",
  "/v1/projects/{ref}/health": "a state of the moment",
  "/v1/projects/{ref}/config/disk/util": "a state of the moment",
  "/v1/projects/{ref}/config/auth/signing-keys/legacy": "one of the signing keys",
  "/v1/projects/{ref}/config/auth/signing-keys/{id}": "one of the signing keys",
  "/v1/projects/{ref}/config/auth/sso/providers/{provider_id}": "one of the providers",
  "/v1/projects/{ref}/config/auth/third-party-auth/{tpa_id}": "one of the issuers",
};

function resolved(schema: Node): Node {
  if (schema?.$ref === undefined) return schema;
  return (fixture.components.schemas as Node)[schema.$ref.split("/").at(-1)];
}

/** Properties of an object, of all of its variants where it has some. */
function properties(schema: Node): Record<string, Node> {
  const { properties: own = {}, oneOf = [] } = resolved(schema) ?? {};
  return Object.assign({}, own, ...oneOf.map(properties));
}

/** Paths of fields below `known` prefixes are opened, others are one field. */
function fieldsOf(schema: Node, known: readonly string[], path = ""): Map<string, Node> {
  const found = new Map<string, Node>();
  for (const [name, inner] of Object.entries(properties(schema))) {
    const field = path + name;
    if (known.some((one) => one.startsWith(`${field}.`))) {
      for (const [deeper, node] of fieldsOf(inner, known, `${field}.`)) found.set(deeper, node);
    } else found.set(field, resolved(inner));
  }
  return found;
}

function answerSchema(path: string): Node {
  return resolved(PATHS[path].get.responses["200"].content["application/json"].schema);
}

function requestSchema(path: string, method: string): Node {
  return resolved(
    PATHS[path][method.toLowerCase()].requestBody.content["application/json"].schema,
  );
}

function permissionsOf(path: string, method: string): string[] {
  return PATHS[path][method.toLowerCase()].security
    .flatMap((one: Node) => one.fga_permissions ?? []);
}

/** An answer in which each field of the document has a value. */
function sample(schema: Node): Node {
  const node = resolved(schema);
  if (node.oneOf !== undefined) return Object.assign({}, ...node.oneOf.map(sample));
  if (node.type === "array") return [sample(node.items)];
  if (node.properties !== undefined) {
    return Object.fromEntries(
      Object.entries(node.properties).map(([name, inner]) => [name, sample(inner)]),
    );
  }
  return node.enum?.[0] ?? { string: "text", integer: 7, boolean: true }[node.type as string] ?? {};
}

/** Where a section's fields lie in the answer, after its view. */
function viewed(section: ConfigSection): string[] {
  const answer = sample(answerSchema(section.path));
  const view = (section.view?.(answer) ?? answer) as FieldValues;
  const known = [...section.writable, ...Object.keys(section.readOnly ?? {})];
  const names: string[] = [];
  const walk = (value: Node, path: string) => {
    for (const [name, inner] of Object.entries(value)) {
      const field = path + name;
      if (known.some((one) => one.startsWith(`${field}.`))) walk(inner, `${field}.`);
      else names.push(field);
    }
  };
  walk(view, "");
  return names.sort();
}

Deno.test("CONFIG_SECTIONS and CONFIG_LISTS stand for every place of the API's document that has settings", () => {
  const places = Object.keys(PATHS).filter((path) => PATHS[path].get !== undefined);
  const known = [...CONFIG_SECTIONS, ...CONFIG_LISTS].map(({ path }) => path);
  assert.deepEqual(places.sort(), [...known, ...Object.keys(NO_SETTINGS)].sort());
});

Deno.test("CONFIG_SECTIONS sort every field that the API's document tells, and no other", () => {
  for (const section of CONFIG_SECTIONS) {
    const sorted = [
      ...section.writable,
      ...Object.keys(section.secrets ?? {}),
      ...Object.keys(section.readOnly ?? {}),
      ...section.leftOut ?? [],
    ];
    assert.equal(new Set(sorted).size, sorted.length, `${section.key} names a field twice`);
    const told = viewed(section);
    const optional = section.key === "database-temporary-access"; // the view tells less than the answer
    assert.deepEqual(
      optional ? told.filter((field) => !sorted.includes(field)) : told,
      optional ? [] : sorted.sort(),
      `fields of ${section.key}`,
    );
  }
});

Deno.test("CONFIG_SECTIONS write every field that the API's document takes, but for secrets and reasons", () => {
  for (const section of CONFIG_SECTIONS) {
    const { write } = section;
    if (write === null) continue;
    const values = Object.fromEntries(section.writable.map((field) => [field, 1]));
    const body = (write.body ?? nest)(values) as FieldValues;
    const schema = requestSchema(write.path, write.method);
    const notWritten = [
      ...Object.keys(section.secrets ?? {}),
      ...Object.keys(section.readOnly ?? {}),
    ];
    const wanted = [...fieldsOf(schema, [...section.writable, "attributes.", "requestedConfig."])]
      .map(([field]) => field).filter((field) => !notWritten.includes(field));
    const sent = [...flat(body, [...section.writable, "attributes.", "requestedConfig."])];
    assert.deepEqual(sent.sort(), wanted.sort(), `body of ${section.key}`);
  }
});

function flat(value: FieldValues, known: readonly string[], path = ""): string[] {
  return Object.entries(value).flatMap(([name, inner]) => {
    const field = path + name;
    return known.some((one) => one.startsWith(`${field}.`))
      ? flat(inner as FieldValues, known, `${field}.`)
      : [field];
  });
}

Deno.test("CONFIG_SECTIONS know where the API takes no null", () => {
  for (const section of CONFIG_SECTIONS) {
    const { write } = section;
    if (write === null || write.form === "whole") continue; // null means leaving a field out there
    const told = fieldsOf(answerSchema(section.path), section.writable);
    const taken = fieldsOf(requestSchema(write.path, write.method), section.writable);
    for (const field of section.writable) {
      const canBeNull = told.get(field)?.nullable === true;
      const takesNull = taken.get(field)?.nullable === true;
      if (canBeNull && write.nulls) assert.ok(takesNull, `${section.key}: ${field} takes no null`);
    }
  }
});

Deno.test("CONFIG_SECTIONS and CONFIG_LISTS name the permissions that the API's document asks for", () => {
  for (const { key, path, permission } of [...CONFIG_SECTIONS, ...CONFIG_LISTS]) {
    assert.equal(permission, permissionsOf(path, "get").join(" and "), key);
  }
  for (const { key, write } of CONFIG_SECTIONS) {
    if (write === null) continue;
    assert.equal(write.permission, permissionsOf(write.path, write.method).join(" and "), key);
  }
});

Deno.test("CONFIG_LISTS sort every field of an element and write every field that the document takes", () => {
  for (const list of CONFIG_LISTS) {
    const answer = sample(answerSchema(list.path));
    const [found = {}] = list.view(answer);
    const told = Object.keys(found).flatMap((name) =>
      name === "saml" ? Object.keys(found.saml as FieldValues) : [name]
    );
    const identity = list.key === "saml-providers" ? ["entity_id"] : [];
    assert.deepEqual(
      [...new Set(told)].sort(),
      [...list.writable, ...list.leftOut, ...identity].sort(),
      list.key,
    );
    const element = Object.fromEntries(list.writable.map((field) => [field, "x"]));
    for (const request of [list.create(element), list.update?.(element, { id: "1" })]) {
      if (request === undefined) continue;
      const taken = Object.keys(properties(requestSchema(request.path, request.method)));
      assert.deepEqual(Object.keys(request.json as FieldValues).sort(), taken.sort(), list.key);
      assert.equal(
        request.permission,
        permissionsOf(request.path, request.method).join(" and "),
      );
    }
  }
});

Deno.test("RESTORE_ORDER holds every section once, and what shuts the door last", () => {
  const keys = [...CONFIG_SECTIONS, ...CONFIG_LISTS].map(({ key }) => key);
  assert.deepEqual([...RESTORE_ORDER].sort(), [...keys, "environment"].sort());
  assert.equal(RESTORE_ORDER.at(-1), "database-network");
});
