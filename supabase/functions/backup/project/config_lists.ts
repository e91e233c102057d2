/**
 * Settings that are lists of things with a life of their own: issuers of foreign tokens, SAML providers.
 * They are added and mended one by one; what only the target has stays.
 *
 * @module
 */
import type { Json } from "../core/part.ts";
import type { FieldValues } from "./config_section.ts";

/** A request that makes or mends an element. */
export interface ElementRequest {
  method: "POST" | "PUT";
  path: string;
  permission: string;
  params?: Record<string, string>;
  json: Json;
}

/** See the module. */
export interface ConfigList {
  key: string;
  title: string;
  path: string;
  permission: string;
  view(answer: Json): FieldValues[];
  absent?: Readonly<Record<number, string>>;
  /** Fields of an element that are kept and written back. */
  writable: readonly string[];
  /** What the API tells of an element and is not kept: ids, times, what it worked out itself. */
  leftOut: readonly string[];
  /** Brings an element into our fields: only what can be written. */
  element(found: FieldValues): FieldValues;
  /** What makes an element the same one in another project. */
  nameOf(element: FieldValues): string;
  create(element: FieldValues): ElementRequest;
  /** Null: elements cannot be changed, a different one is another one. */
  update: ((element: FieldValues, found: FieldValues) => ElementRequest) | null;
  /** What could go wrong with new elements. */
  hazard?: string;
}

const THIRD_PARTY: ConfigList = {
  key: "third-party-auth",
  title: "issuers of foreign tokens",
  path: "/v1/projects/{ref}/config/auth/third-party-auth",
  permission: "auth_config_read",
  view: (answer) => answer as FieldValues[],
  writable: ["custom_jwks", "jwks_url", "oidc_issuer_url"],
  leftOut: ["id", "inserted_at", "resolved_at", "resolved_jwks", "type", "updated_at"],
  element: (found) => pick(found, THIRD_PARTY.writable),
  nameOf: (element) =>
    String(element.oidc_issuer_url ?? element.jwks_url ?? "with keys of its own"),
  create: (element) => ({
    method: "POST",
    path: "/v1/projects/{ref}/config/auth/third-party-auth",
    permission: "auth_config_write",
    json: element,
  }),
  update: null,
  hazard: "tokens of these issuers are accepted by this project",
};

interface SamlAnswer {
  saml?: FieldValues;
  domains?: { domain?: string }[];
}

const SAML: ConfigList = {
  key: "saml-providers",
  title: "SAML providers",
  path: "/v1/projects/{ref}/config/auth/sso/providers",
  permission: "auth_config_read",
  view: (answer) => (answer as { items?: FieldValues[] }).items ?? [],
  absent: { 404: "SAML is not switched on" },
  writable: ["attribute_mapping", "domains", "metadata_url", "metadata_xml", "name_id_format"],
  leftOut: ["created_at", "id", "updated_at"],
  element(found) {
    const { saml = {}, domains = [] } = found as unknown as SamlAnswer;
    const names = domains.flatMap(({ domain }) => domain === undefined ? [] : [domain]).sort();
    // Metadata that has an address is fetched from there again, and changes with its certificates.
    const metadata = saml.metadata_url === undefined ? "metadata_xml" : "metadata_url";
    const kept = pick(saml, ["attribute_mapping", metadata, "name_id_format"]);
    return { ...kept, domains: names, entity_id: saml.entity_id ?? null };
  },
  nameOf: (element) => String(element.entity_id),
  create: (element) => ({
    method: "POST",
    path: "/v1/projects/{ref}/config/auth/sso/providers",
    permission: "auth_config_write",
    json: { type: "saml", ...withoutName(element) },
  }),
  update: (element, found) => ({
    method: "PUT",
    path: "/v1/projects/{ref}/config/auth/sso/providers/{provider_id}",
    permission: "auth_config_write",
    params: { provider_id: String(found.id) },
    json: withoutName(element),
  }),
  hazard:
    "a provider that is made anew has a new id, and users who signed in through the old one " +
    "are tied to the old id: restore the database first, which brings providers back as they were",
};

/** The name is the provider's own and follows from its metadata. */
function withoutName({ entity_id: _, ...element }: FieldValues): FieldValues {
  return element;
}

function pick(found: FieldValues, fields: readonly string[]): FieldValues {
  return Object.fromEntries(
    fields.flatMap((field) => {
      const value = found[field];
      return value === undefined || value === null ? [] : [[field, value]];
    }),
  );
}

/** See the module. */
export const CONFIG_LISTS: readonly ConfigList[] = [SAML, THIRD_PARTY];
