/**
 * Edge Functions of the stand-in.
 *
 * A bundle is what its function was deployed with, as text under the magic word of an eszip; the real one
 * is made by the platform. As on the platform, sources are given below `source/`, and import maps and
 * static files are part of the bundle but not of the sources.
 *
 * @module
 */
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import {
  fromBase64,
  fromUtf8,
  toBase64,
  utf8,
} from "../../../supabase/functions/backup/core/bytes.ts";
import { concat, toHex } from "../../../supabase/functions/backup/core/bytes.ts";
import {
  type ContractAnswer,
  type ContractRequest,
  Refusal,
  type Resource,
} from "./contract_types.ts";

/** A function as the API tells of it. */
export interface ContractFunction {
  id: string;
  slug: string;
  name: string;
  status: "ACTIVE" | "REMOVED" | "THROTTLED";
  version: number;
  created_at: number;
  updated_at: number;
  verify_jwt?: boolean;
  import_map?: boolean;
  entrypoint_path?: string;
  import_map_path?: string;
  ezbr_sha256?: string;
}

/** Edge Functions and what they were deployed with. */
export interface FunctionsState extends Resource {
  functions: Map<string, ContractFunction>;
  /** The bundle of a function. */
  bundle(slug: string): Uint8Array;
  /** What is in the bundle of a function. */
  deployedWith(slug: string): Bundled;
  /** Whether sources contain import maps too. @default false */
  givesImportMaps: boolean;
  /** Whether sources are given at all; functions of old tools have none. @default true */
  givesSources: boolean;
  /** Whether source code can be bundled here; an import may not resolve any more. @default true */
  bundles: boolean;
  /** Called before a body is read: the place to change or delete a function while it is read. */
  beforeBody: (slug: string) => void;
}

/** What a function was deployed with. */
export interface Bundled {
  entrypoint: string;
  importMap: string | null;
  staticPatterns: string[];
  /** Base64 by path. */
  files: Record<string, string>;
}

const MAGIC = "ESZIP2.3";
const COMPRESSED_MAGIC = "EZBR";
const ESZIP = "application/vnd.denoland.eszip";

/** An empty project. @param now milliseconds; each change takes one more */
export function functionsState({ limit = 100 }: { limit?: number } = {}): FunctionsState {
  const functions = new Map<string, ContractFunction>();
  const bundles = new Map<string, Uint8Array>();
  let now = Date.UTC(2026, 0, 1);

  function known(slug: string | undefined): ContractFunction {
    const found = functions.get(slug ?? "");
    if (found === undefined) throw new Refusal(404, "Function not found");
    return found;
  }

  async function put(
    slug: string,
    fields: Partial<ContractFunction>,
    bundle: Uint8Array | null,
  ): Promise<ContractFunction> {
    const before = functions.get(slug);
    if (before === undefined && functions.size >= limit) {
      throw new Refusal(402, "Max number of functions reached for plan");
    }
    now += 1;
    const changed: ContractFunction = {
      verify_jwt: true,
      ...(before ?? { id: crypto.randomUUID(), name: slug, status: "ACTIVE", created_at: now }),
      ...fields,
      slug,
      version: (before?.version ?? 0) + 1,
      updated_at: now,
    };
    if (bundle !== null) {
      bundles.set(slug, bundle);
      changed.ezbr_sha256 = await sha256(compress(bundle));
    }
    functions.set(slug, changed);
    return changed;
  }

  async function deploy({ query, form }: ContractRequest): Promise<ContractAnswer> {
    if (!state.bundles) {
      throw new Refusal(
        400,
        "Failed to bundle the function (reason: The module's source code could not be parsed)",
      );
    }
    const metadata = JSON.parse(String(form?.get("metadata")));
    const files: Record<string, string> = {};
    for (const file of form?.getAll("file") ?? []) {
      if (!(file instanceof File)) throw new Refusal(400, "file is not a file");
      files[file.name] = toBase64(new Uint8Array(await file.arrayBuffer()));
    }
    if (files[metadata.entrypoint_path] === undefined) {
      throw new Refusal(400, "Entrypoint path does not exist");
    }
    const importMap = metadata.import_map_path || null; // the CLI says it with an empty path
    if (importMap !== null && files[importMap] === undefined) {
      throw new Refusal(400, "Import map path does not exist");
    }
    const bundle = pack({
      entrypoint: metadata.entrypoint_path,
      importMap,
      staticPatterns: metadata.static_patterns ?? [],
      files,
    });
    const slug = query.get("slug") ?? metadata.name;
    const place = (path: string) => `file:///tmp/user_fn_${slug}/source/${path}`;
    const fields: Partial<ContractFunction> = {
      ...(metadata.name === undefined ? {} : { name: metadata.name }),
      ...(metadata.verify_jwt === undefined ? {} : { verify_jwt: metadata.verify_jwt }),
      entrypoint_path: place(metadata.entrypoint_path),
      import_map: importMap !== null,
      ...(importMap === null ? {} : { import_map_path: place(importMap) }),
    };
    if (query.get("bundleOnly") !== "true") {
      return { status: 201, json: await put(slug, fields, bundle) };
    }
    // The bundle is kept; the function changes when it is named in a bulk update.
    bundles.set(slug, bundle);
    const before = functions.get(slug);
    now += 1;
    const json = {
      id: before?.id ?? crypto.randomUUID(),
      name: slug,
      status: "ACTIVE",
      created_at: before?.created_at ?? now,
      updated_at: now,
      ...fields,
      slug,
      version: (before?.version ?? 0) + 1,
      ezbr_sha256: await sha256(compress(bundle)),
    };
    return { status: 201, json };
  }

  /** A function from a bundle that was made elsewhere. */
  async function upload(
    slug: string,
    { query, headers, bytes }: ContractRequest,
  ): Promise<ContractFunction> {
    const fields: Partial<ContractFunction> = {};
    if (query.has("name")) fields.name = query.get("name") as string;
    if (query.has("verify_jwt")) fields.verify_jwt = query.get("verify_jwt") === "true";
    if (query.has("import_map")) fields.import_map = query.get("import_map") === "true";
    if (query.has("entrypoint_path")) {
      fields.entrypoint_path = query.get("entrypoint_path") as string;
    }
    if (query.has("import_map_path")) {
      fields.import_map_path = query.get("import_map_path") as string;
    }
    if (headers.get("content-type") !== ESZIP) {
      throw new Refusal(400, "Only bundles are known here");
    }
    const given = query.get("ezbr_sha256");
    if (given !== null && given !== await sha256(bytes)) {
      throw new Refusal(400, "ezbr_sha256 does not match");
    }
    return await put(slug, fields, decompress(bytes));
  }

  function body({ params, headers }: ContractRequest): ContractAnswer {
    const slug = params.function_slug as string;
    state.beforeBody(slug);
    known(slug);
    const bundle = bundles.get(slug) as Uint8Array;
    if (!headers.get("accept")?.includes("multipart/form-data")) {
      return { bytes: bundle, headers: { "content-type": ESZIP } };
    }
    if (!state.givesSources) throw new Refusal(400, "Failed to extract the function's sources");
    return multipart(unpack(bundle), state.givesImportMaps);
  }

  const state: FunctionsState = {
    functions,
    bundle: (slug) => bundles.get(slug) as Uint8Array,
    deployedWith: (slug) => unpack(bundles.get(slug) as Uint8Array),
    givesImportMaps: false,
    givesSources: true,
    bundles: true,
    beforeBody: () => {},
    handlers: {
      "v1-list-all-functions": () => ({ json: [...functions.values()] }),
      "v1-get-a-function": ({ params }) => ({ json: known(params.function_slug) }),
      "v1-get-a-function-body": body,
      "v1-deploy-a-function": deploy,
      "v1-create-a-function": async (request) => {
        const slug = request.query.get("slug") ?? "";
        if (functions.has(slug)) throw new Refusal(409, "Duplicated function slug");
        return { status: 201, json: await upload(slug, request) };
      },
      "v1-update-a-function": async (request) => {
        const { slug } = known(request.params.function_slug);
        if (request.json !== null) return { json: await put(slug, request.json, null) };
        return { json: await upload(slug, request) };
      },
      "v1-bulk-update-functions": async ({ json }) => {
        const changed = [];
        for (const { version, ...fields } of json) {
          const bundle = bundles.get(fields.slug) ?? null;
          const function_ = { ...await put(fields.slug, fields, bundle), version };
          functions.set(fields.slug, function_);
          changed.push(function_);
        }
        return { json: { functions: changed } };
      },
      "v1-delete-a-function": ({ params }) => {
        const { slug } = known(params.function_slug);
        functions.delete(slug);
        bundles.delete(slug);
        return {};
      },
    },
  };
  return state;
}

function multipart(bundled: Bundled, withImportMaps: boolean): ContractAnswer {
  const boundary = `----functions${crypto.randomUUID()}`;
  const parts: Uint8Array[] = [];
  const part = (disposition: string, headers: string[], content: Uint8Array) =>
    parts.push(
      utf8(
        [`--${boundary}`, `Content-Disposition: form-data; ${disposition}`, ...headers, "", ""]
          .join("\r\n"),
      ),
      content,
      utf8("\r\n"),
    );
  const metadata = JSON.stringify({ deno2_entrypoint_path: `source/${bundled.entrypoint}` });
  part('name="metadata"', ["Content-Type: application/json"], utf8(metadata));
  for (const [path, content] of Object.entries(bundled.files)) {
    if (bundled.staticPatterns.some((pattern) => matches(path, pattern))) continue;
    if (!withImportMaps && /(^|\/)(deno\.jsonc?|import_map\.json|package\.json)$/.test(path)) {
      continue;
    }
    const name = path.slice(path.lastIndexOf("/") + 1);
    part(
      `name="file"; filename="${name}"`,
      [`Supabase-Path: source/${path}`, "Content-Type: text/plain"],
      fromBase64(content),
    );
  }
  parts.push(utf8(`--${boundary}--\r\n`));
  return {
    bytes: concat(parts),
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
  };
}

/** The names of all files, each with its length before it and a zero behind, then everything as JSON. */
function pack(bundled: Bundled): Uint8Array {
  const names = Object.keys(bundled.files).map((path) => {
    const isStatic = bundled.staticPatterns.some((pattern) => matches(path, pattern));
    const name = utf8((isStatic ? "static:" : "") + path);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, name.length);
    return concat([length, name, new Uint8Array(1)]);
  });
  return concat([utf8(MAGIC), ...names, utf8(`\n${JSON.stringify(bundled)}`)]);
}

function matches(path: string, pattern: string): boolean {
  const text = pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]*");
  return new RegExp(`^${text}$`).test(path);
}

function unpack(bundle: Uint8Array): Bundled {
  return JSON.parse(fromUtf8(bundle.subarray(bundle.lastIndexOf(10) + 1)));
}

const QUICK = { [constants.BROTLI_PARAM_QUALITY]: 1 };

function compress(bundle: Uint8Array): Uint8Array {
  return concat([
    utf8(COMPRESSED_MAGIC),
    new Uint8Array(brotliCompressSync(bundle.slice(), { params: QUICK })),
  ]);
}

function decompress(bytes: Uint8Array): Uint8Array {
  const text = (from: Uint8Array, length: number) =>
    String.fromCharCode(...from.subarray(0, length));
  if (text(bytes, COMPRESSED_MAGIC.length) !== COMPRESSED_MAGIC) {
    throw new Refusal(400, "Invalid eszip");
  }
  const bundle = new Uint8Array(brotliDecompressSync(bytes.slice(COMPRESSED_MAGIC.length)));
  if (text(bundle, MAGIC.length) !== MAGIC) throw new Refusal(400, "Invalid eszip");
  return bundle;
}

async function sha256(bytes: Uint8Array): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as BufferSource)));
}
