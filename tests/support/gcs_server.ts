/**
 * A stand-in of Google Cloud Storage's JSON API for tests, with its objects in memory: what the public
 * documentation says of tokens, uploads in one and in pieces, conditions, ranges, pages, retention and
 * holds. It enforces what it is asked for; access by role is all or nothing.
 *
 * @module
 */
import { createHash } from "node:crypto";
import {
  fromBase64,
  fromUtf8,
  toBase64,
  utf8,
} from "../../supabase/functions/backup/core/bytes.ts";

/** An object as the server keeps it. */
interface Kept {
  body: Uint8Array;
  timeCreated: string;
  storageClass: string;
  retention?: { mode: string; retainUntilTime: string };
  temporaryHold?: boolean;
}

/** An upload in pieces that is not done. */
interface Upload {
  facts: Facts;
  onlyNew: boolean;
  length: number;
  received: Uint8Array[];
}

type Facts = Partial<Kept> & { name: string };

/** A request as it came. */
export interface GcsAsked {
  method: string;
  url: URL;
  headers: Headers;
  body: Uint8Array;
}

/** A running server with the empty bucket `backups`. */
export interface GcsServer {
  endpoint: string;
  /** The key file of its only account. */
  keyFile: string;
  objects: Map<string, Kept>;
  asked: GcsAsked[];
  /** Called before a request is answered; what it returns is the answer. */
  fault: ((asked: GcsAsked) => Response | Promise<Response> | null) | null;
  /** Tokens given so far; those of before `expire()` are not taken any more. */
  expire(): void;
  /** Objects of a page. */
  pageSize: number;
  close(): Promise<void>;
}

const BUCKET = "backups";
const EMAIL = "writer@project.example";

const ALGORITHM = {
  name: "RSASSA-PKCS1-v1_5",
  modulusLength: 1024, // for tests, quickly
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: "SHA-256",
};
/** Made once: finding one takes as long as all else here. */
let pair: Promise<CryptoKeyPair> | undefined;

/** Starts a server on a free port of this machine. */
export async function startGcsServer(): Promise<GcsServer> {
  const keys = await (pair ??= crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]));
  const tokens = new Set<string>();
  const uploads = new Map<string, Upload>();
  const objects: GcsServer["objects"] = new Map();
  const ending = new AbortController();

  const server = Deno.serve(
    {
      ...{ port: 0, hostname: "127.0.0.1", onListen: () => {}, signal: ending.signal },
      onError: () => new Response(null, { status: 500 }), // the client has gone
    },
    async (request) => {
      const asked = {
        method: request.method,
        url: new URL(request.url),
        headers: request.headers,
        body: new Uint8Array(await request.arrayBuffer()),
      };
      gcs.asked.push(asked);
      return await gcs.fault?.(asked) ?? await answer(asked);
    },
  );
  const endpoint = `http://127.0.0.1:${server.addr.port}`;

  async function answer(asked: GcsAsked): Promise<Response> {
    const { pathname, searchParams } = asked.url;
    if (pathname === "/token") return await giveToken(fromUtf8(asked.body));
    const upload = searchParams.get("upload_id");
    if (upload !== null) return continueUpload(upload, asked);
    const token = asked.headers.get("authorization")?.replace("Bearer ", "") ?? "";
    if (!tokens.has(token)) return refusal(401, "authError", "Invalid Credentials");
    if (pathname === "/storage/v1/b") {
      return Response.json({ kind: "storage#buckets", items: [{ name: BUCKET }] });
    }
    const [, place = "", bucket, name] =
      /^(\/upload)?\/storage\/v1\/b\/([^/]+)\/o(?:\/(.+))?$/.exec(pathname) ?? [];
    if (bucket !== BUCKET) {
      return refusal(404, "notFound", "The specified bucket does not exist.");
    }
    if (place === "/upload") return beginUpload(asked);
    if (name === undefined) return list(searchParams);
    return one(decodeURIComponent(name), asked);
  }

  async function giveToken(form: string): Promise<Response> {
    const assertion = new URLSearchParams(form).get("assertion") ?? "";
    const [header = "", claims = "", signature = ""] = assertion.split(".");
    const good = await crypto.subtle.verify(
      ALGORITHM.name,
      keys.publicKey,
      fromBase64(padded(signature)) as BufferSource,
      utf8(`${header}.${claims}`) as BufferSource,
    );
    const { iss, aud, exp, iat, scope } = JSON.parse(fromUtf8(fromBase64(padded(claims))));
    const now = Date.now() / 1000;
    const error = (error_description: string) =>
      Response.json({ error: "invalid_grant", error_description }, { status: 400 });
    if (!good) return error("Invalid JWT Signature.");
    if (iss !== EMAIL || aud !== `${endpoint}/token` || !/devstorage/.test(scope)) {
      return error("Invalid issuer, audience or scope.");
    }
    if (exp < now || exp - iat > 3600 || iat > now + 60) {
      return error("Token must be short-lived and in a reasonable timeframe. Check iat and exp.");
    }
    const token = `token-${crypto.randomUUID()}`;
    tokens.add(token);
    return Response.json({ access_token: token, expires_in: 3599, token_type: "Bearer" });
  }

  function beginUpload({ url, headers, body }: GcsAsked): Response {
    const { searchParams } = url;
    const onlyNew = searchParams.get("ifGenerationMatch") === "0";
    const type = headers.get("content-type") ?? "";
    if (searchParams.get("uploadType") === "multipart") {
      const { facts, media } = parts(body, /boundary=(.+)$/.exec(type)?.[1] ?? "");
      return store(facts, media, onlyNew);
    }
    const facts = { name: searchParams.get("name"), ...JSON.parse(fromUtf8(body) || "{}") };
    const length = Number(headers.get("x-upload-content-length") ?? NaN);
    const id = crypto.randomUUID();
    uploads.set(id, { facts, onlyNew, length, received: [] });
    const location = `${url.origin}${url.pathname}?uploadType=resumable&upload_id=${id}`;
    return new Response(null, { headers: { location } });
  }

  function continueUpload(id: string, { headers, body }: GcsAsked): Response {
    const upload = uploads.get(id);
    if (upload === undefined) return refusal(404, "notFound", "No such upload");
    const range = headers.get("content-range") ?? `bytes 0-${body.length - 1}/${body.length}`;
    const [, from, to, total] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(range) ?? [];
    const have = upload.received.reduce((sum, { length }) => sum + length, 0);
    if (from !== undefined) {
      if (Number(from) !== have || Number(to) - Number(from) + 1 !== body.length) {
        return refusal(400, "invalid", "The range does not go on where the upload ended.");
      }
      const isLast = total !== "*" && Number(to) + 1 === Number(total);
      if (!isLast && body.length % 262144 !== 0) {
        return refusal(400, "invalid", "Pieces must be multiples of 256 KiB.");
      }
      upload.received.push(body);
      if (isLast) return finishUpload(id, upload);
    }
    const now = upload.received.reduce((sum, { length }) => sum + length, 0);
    const told = new Headers(now === 0 ? {} : { range: `bytes=0-${now - 1}` });
    // Clients whose libraries take 308 for a redirection ask for another word.
    if (!headers.has("x-guploader-no-308")) {
      return new Response(null, { status: 308, headers: told });
    }
    told.set("x-http-status-code-override", "308");
    return new Response(null, { headers: told });
  }

  function finishUpload(id: string, upload: Upload): Response {
    uploads.delete(id);
    return store(upload.facts, joined(upload.received), upload.onlyNew);
  }

  function store(facts: Facts, body: Uint8Array, onlyNew: boolean): Response {
    const present = objects.get(facts.name);
    if (present !== undefined && onlyNew) {
      return refusal(412, "conditionNotMet", "At least one of the pre-conditions did not hold.");
    }
    if (present !== undefined && isKept(present)) return keptRefusal(present);
    const { storageClass = "STANDARD", retention, temporaryHold } = facts;
    const timeCreated = new Date().toISOString();
    objects.set(facts.name, {
      ...{ body, timeCreated, storageClass },
      ...(retention && { retention }),
      ...(temporaryHold && { temporaryHold }),
    });
    return Response.json(describe(facts.name));
  }

  function list(query: URLSearchParams): Response {
    const prefix = query.get("prefix") ?? "";
    const delimiter = query.get("delimiter");
    const all = [...objects.keys()].filter((name) => name.startsWith(prefix)).sort();
    const after = query.get("pageToken");
    const rest = after === null ? all : all.filter((name) => name > fromUtf8(fromBase64(after)));
    const page = rest.slice(0, Math.min(gcs.pageSize, Number(query.get("maxResults") ?? 1000)));
    const isFolder = (name: string) => delimiter && name.slice(prefix.length).includes(delimiter);
    const folders = page.filter(isFolder).map((name) =>
      prefix + name.slice(prefix.length).split(delimiter!)[0] + delimiter
    );
    return Response.json({
      items: page.filter((name) => !isFolder(name)).map(describe),
      ...(delimiter ? { prefixes: [...new Set(folders)] } : {}),
      ...(rest.length > page.length ? { nextPageToken: toBase64(utf8(page.at(-1)!)) } : {}),
    });
  }

  function one(name: string, { method, url, headers, body }: GcsAsked): Response {
    const object = objects.get(name);
    if (object === undefined) return refusal(404, "notFound", `No such object: ${BUCKET}/${name}`);
    if (method === "DELETE") {
      if (isKept(object)) return keptRefusal(object);
      objects.delete(name);
      return new Response(null, { status: 204 });
    }
    if (method === "PATCH") return change(name, object, { url, body });
    if (url.searchParams.get("alt") !== "media") return Response.json(describe(name));
    const range = /^bytes=(\d+)-(\d*)$/.exec(headers.get("range") ?? "");
    if (range === null) return media(object.body, 200);
    if (Number(range[1]) >= object.body.length) {
      return refusal(416, "requestedRangeNotSatisfiable", "Request range not satisfiable");
    }
    const to = range[2] === "" ? object.body.length : Number(range[2]) + 1;
    return media(object.body.slice(Number(range[1]), to), 206);
  }

  function change(name: string, object: Kept, asked: { url: URL; body: Uint8Array }): Response {
    const changes = JSON.parse(fromUtf8(asked.body)) as Partial<Kept>;
    const { retention } = object;
    if ("retention" in changes && retention !== undefined) {
      const next = changes.retention ?? null;
      const isLess = next === null ||
        Date.parse(next.retainUntilTime) < Date.parse(retention.retainUntilTime);
      const mayLess = retention.mode === "Unlocked" &&
        asked.url.searchParams.get("overrideUnlockedRetention") === "true";
      if (isLess && !mayLess) return keptRefusal(object);
    }
    if (changes.retention === null) delete object.retention;
    else if (changes.retention) object.retention = changes.retention;
    if (changes.temporaryHold !== undefined) object.temporaryHold = changes.temporaryHold;
    return Response.json(describe(name));
  }

  function describe(name: string) {
    const { body, ...facts } = objects.get(name)!;
    return {
      ...{ kind: "storage#object", bucket: BUCKET, name, size: `${body.length}` },
      updated: facts.timeCreated,
      mediaLink: `${endpoint}/storage/v1/b/${BUCKET}/o/${encodeURIComponent(name)}?alt=media`,
      md5Hash: createHash("md5").update(body).digest("base64"),
      ...facts,
    };
  }

  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  const gcs: GcsServer = {
    endpoint,
    keyFile: JSON.stringify({
      type: "service_account",
      project_id: "project",
      private_key_id: "key-1",
      private_key: `-----BEGIN PRIVATE KEY-----\n${toBase64(pkcs8)}\n-----END PRIVATE KEY-----\n`,
      client_email: EMAIL,
      token_uri: `${endpoint}/token`,
    }),
    objects,
    asked: [],
    fault: null,
    expire: () => tokens.clear(),
    pageSize: 1000,
    async close() {
      ending.abort(); // an orderly end would wait for connections that the client keeps
      await server.finished;
    },
  };
  return gcs;
}

/** A refusal in Google's words. */
export function refusal(code: number, reason: string, message: string): Response {
  const error = { code, message, errors: [{ domain: "global", reason, message }] };
  return Response.json({ error }, { status: code });
}

function isKept({ retention, temporaryHold }: Kept): boolean {
  return temporaryHold === true ||
    retention !== undefined && Date.parse(retention.retainUntilTime) > Date.now();
}

function keptRefusal({ temporaryHold }: Kept): Response {
  return temporaryHold
    ? refusal(403, "objectUnderActiveHold", "Object is under active Temporary hold.")
    : refusal(403, "retentionPolicyNotMet", "Object is subject to a retention configuration.");
}

function media(body: Uint8Array, status: number): Response {
  return new Response(body as BodyInit, {
    status,
    headers: { "content-type": "application/octet-stream" },
  });
}

/** The two parts of a `multipart/related` body. */
function parts(body: Uint8Array, boundary: string): { facts: Facts; media: Uint8Array } {
  const blank = utf8("\r\n\r\n");
  const end = utf8(`\r\n--${boundary.replaceAll('"', "")}`);
  const factsFrom = find(body, blank, 0) + blank.length;
  const factsTo = find(body, end, factsFrom);
  const mediaFrom = find(body, blank, factsTo) + blank.length;
  return {
    facts: JSON.parse(fromUtf8(body.subarray(factsFrom, factsTo))),
    media: body.slice(mediaFrom, body.length - end.length - 4),
  };
}

function find(bytes: Uint8Array, sought: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(sought[0]!, from); at >= 0; at = bytes.indexOf(sought[0]!, at + 1)) {
    if (sought.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  throw new Error("Cannot read the upload: a part is missing");
}

function joined(pieces: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function padded(text: string): string {
  return text + "=".repeat((4 - text.length % 4) % 4);
}
