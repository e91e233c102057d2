/**
 * Secrets, API keys and the database's password of the stand-in's project.
 *
 * @module
 */
import { createHash, createHmac } from "node:crypto";
import { Refusal, type Resource } from "./contract_types.ts";

/** A key as it is kept. */
export interface ContractKey {
  id: string;
  name: string;
  type: "publishable" | "secret";
  value: string;
  description: string | null;
  secret_jwt_template: Record<string, unknown> | null;
  /** Position in time. */
  at: number;
}

/** See the module. */
export interface SecretsState extends Resource {
  /** Values by name; the API tells only digests. */
  secrets: Map<string, string>;
  keys: ContractKey[];
  legacy: boolean;
  /** Whether the API still has the switch of legacy keys, which its document announces to remove. */
  hasLegacySwitch: boolean;
  databasePassword: string;
  /** How digests are made. */
  digests: "sha256" | "hmac-sha256-ref";
}

/** A project without secrets of its own, with the keys that each project begins with. */
export function secretsState(ref: string): SecretsState {
  let clock = 0;
  const time = (at: number) => new Date(Date.UTC(2026, 0, 1) + at * 1000).toISOString();
  const updated = new Map<string, number>();

  const digest = (value: string) =>
    (state.digests === "sha256" ? createHash("sha256") : createHmac("sha256", ref))
      .update(value).digest("hex");

  function make(fields: Pick<ContractKey, "name" | "type"> & Partial<ContractKey>): ContractKey {
    const random = crypto.randomUUID().replaceAll("-", "");
    return {
      id: crypto.randomUUID(),
      value: `sb_${fields.type}_${random}`,
      description: null,
      secret_jwt_template: fields.type === "secret" ? { role: "service_role" } : null,
      at: ++clock,
      ...fields,
    };
  }

  function answer(key: ContractKey, reveal: boolean) {
    const { at, value, ...told } = key;
    return {
      ...told,
      api_key: reveal ? value : `${value.slice(0, 16)}···`,
      prefix: value.slice(0, 16),
      hash: createHash("sha256").update(value).digest("base64url"),
      inserted_at: time(at),
      updated_at: time(at),
    };
  }

  function known(id: string | undefined): ContractKey {
    const found = state.keys.find((key) => key.id === id);
    if (found === undefined) throw new Refusal(404, "API key not found");
    return found;
  }

  function refuseTaken({ name, type }: { name: string; type: string }, except?: ContractKey) {
    const taken = state.keys.some((key) =>
      key !== except && key.name === name && key.type === type
    );
    if (taken) throw new Refusal(409, "An API key of this name and type exists");
  }

  const reveals = (query: URLSearchParams) => query.get("reveal") === "true";

  const state: SecretsState = {
    secrets: new Map(),
    keys: [
      make({ name: "default", type: "publishable" }),
      make({ name: "default", type: "secret" }),
    ],
    legacy: true,
    hasLegacySwitch: true,
    databasePassword: "the first password",
    digests: "sha256",
    handlers: {
      "v1-list-all-secrets": () => ({
        json: [...state.secrets].map(([name, value]) => ({
          name,
          value: digest(value),
          updated_at: time(updated.get(name) ?? 0),
        })),
      }),
      "v1-bulk-create-secrets": ({ json }) => {
        for (const { name, value } of json) {
          state.secrets.set(name, value);
          updated.set(name, ++clock);
        }
        return { status: 201 };
      },
      "v1-get-project-api-keys": ({ query }) => ({
        json: [
          ...(state.legacy
            ? ["anon", "service_role"].map((name) => ({
              name,
              id: name,
              type: "legacy",
              api_key: "eyJ.the whole token.signature",
              prefix: "tbn2D",
              hash: "siXHwep1ApnLzvWXuo9Z9T8gGEi_5wsAy961FvvL7tA",
              description: `Legacy ${name} API key`,
            }))
            : []),
          ...state.keys.map((key) => answer(key, reveals(query))),
        ],
      }),
      "v1-create-project-api-key": ({ json, query }) => {
        refuseTaken(json);
        const key = make(json);
        state.keys.push(key);
        return { status: 201, json: answer(key, reveals(query)) };
      },
      "v1-get-project-api-key": ({ params, query }) => ({
        json: answer(known(params.id), reveals(query)),
      }),
      "v1-update-project-api-key": ({ params, json, query }) => {
        const key = known(params.id);
        refuseTaken({ ...key, ...json }, key);
        Object.assign(key, json);
        return { json: answer(key, reveals(query)) };
      },
      "v1-delete-project-api-key": ({ params, query }) => {
        const key = known(params.id);
        state.keys = state.keys.filter((one) => one !== key);
        return { json: answer(key, reveals(query)) };
      },
      "v1-get-project-legacy-api-keys": () => {
        if (!state.hasLegacySwitch) throw new Refusal(404, "Not Found");
        return { json: { enabled: state.legacy } };
      },
      "v1-update-project-legacy-api-keys": ({ query }) => {
        if (!state.hasLegacySwitch) throw new Refusal(404, "Not Found");
        state.legacy = query.get("enabled") === "true";
        return { json: { enabled: state.legacy } };
      },
      "v1-update-database-password": ({ json }) => {
        state.databasePassword = json.password;
        return { json: { message: "ok" } };
      },
    },
  };
  return state;
}
