/**
 * A stand-in of Amazon S3 for what the test server of `s3_server.ts` lacks: versions, conditional puts,
 * object lock that is enforced, holds, storage classes, listings by pages. Written from S3's
 * documentation, with its objects in memory; signatures are not checked.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** A stored version. */
export interface S3Version {
  id: string;
  body: Uint8Array;
  storageClass: string;
  lock: { mode: string; until: Date } | null;
  isHeld: boolean;
  modifiedAt: Date;
}

/** A request as it came. */
export interface S3Asked {
  method: string;
  key: string;
  query: URLSearchParams;
  headers: Headers;
  body: Uint8Array;
}

/** A running server with the empty bucket `backups`. */
export interface LockingS3Server {
  endpoint: string;
  /** Newest last; null stands for a mark of deletion. */
  versions: Map<string, (S3Version | null)[]>;
  asked: S3Asked[];
  /** Whether the bucket was made with object lock. @default true */
  hasObjectLock: boolean;
  /** Whether the caller may get round a governance lock. @default false */
  mayBypass: boolean;
  /** Whether it heeds conditions of uploads. @default true */
  heedsConditions: boolean;
  /** Whether it heeds locks, rather than only storing what they say. @default true */
  heedsLocks: boolean;
  /** Buckets that the caller may list; null refuses. */
  buckets: string[] | null;
  /** Called before a request is answered; what it returns is the answer. */
  fault: ((asked: S3Asked) => Response | null) | null;
  close(): Promise<void>;
}

const PAGE = 1000;
const DENIED = "Access Denied because object protected by object lock.";

/** Starts a server on a free port of this machine. */
export function startLockingS3Server(): LockingS3Server {
  const versions: LockingS3Server["versions"] = new Map();
  const uploads = new Map<string, { headers: Headers; parts: Map<number, Uint8Array> }>();
  const ending = new AbortController();

  const listener = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {}, signal: ending.signal },
    async (request) => {
      const url = new URL(request.url);
      const [, bucket = "", key = ""] = /^\/([^/]*)\/?(.*)$/.exec(
        decodeURIComponent(url.pathname),
      )!;
      const asked = {
        method: request.method,
        key,
        query: url.searchParams,
        headers: request.headers,
        body: new Uint8Array(await request.arrayBuffer()),
      };
      server.asked.push(asked);
      const answer = server.fault?.(asked) ?? serve(bucket, asked);
      return asked.method === "HEAD" ? new Response(null, answer) : answer;
    },
  );

  function serve(bucket: string, asked: S3Asked): Response {
    if (bucket === "") return listBuckets();
    if (bucket !== "backups") return s3Refusal(404, "NoSuchBucket");
    const { method, key, query } = asked;
    if (key === "") return list(query);
    if (query.has("retention")) return retention(asked);
    if (query.has("legal-hold")) return hold(asked);
    if (method === "POST" || query.has("uploadId")) return upload(asked);
    if (method === "PUT") return put(key, asked.headers, asked.body);
    if (method === "DELETE") return remove(asked);
    return read(asked);
  }

  function listBuckets(): Response {
    if (server.buckets === null) return s3Refusal(403, "AccessDenied");
    const names = server.buckets.map((name) => `<Bucket><Name>${name}</Name></Bucket>`).join("");
    return xml(`<ListAllMyBucketsResult><Buckets>${names}</Buckets></ListAllMyBucketsResult>`);
  }

  function present(key: string): S3Version | null {
    return versions.get(key)?.at(-1) ?? null;
  }

  function list(query: URLSearchParams): Response {
    const prefix = query.get("prefix") ?? "";
    const after = query.get("continuation-token") ?? "";
    const keys = [...versions.keys()].filter((key) => key.startsWith(prefix) && present(key))
      .sort();
    const rest = keys.filter((key) => key > after);
    const contents = rest.slice(0, PAGE).map((key) => {
      const { body, modifiedAt } = present(key)!;
      return `<Contents><Key>${key}</Key><Size>${body.length}</Size>` +
        `<LastModified>${modifiedAt.toISOString()}</LastModified></Contents>`;
    });
    const more = rest.length > PAGE;
    const token = `<NextContinuationToken>${rest[PAGE - 1]}</NextContinuationToken>`;
    return xml(
      `<ListBucketResult><IsTruncated>${more}</IsTruncated>${contents.join("")}` +
        `${more ? token : ""}</ListBucketResult>`,
    );
  }

  function put(key: string, headers: Headers, body: Uint8Array): Response {
    if (server.heedsConditions && headers.get("if-none-match") === "*" && present(key)) {
      return s3Refusal(412, "PreconditionFailed");
    }
    const mode = headers.get("x-amz-object-lock-mode");
    const isHeld = headers.get("x-amz-object-lock-legal-hold") === "ON";
    if ((mode !== null || isHeld) && !server.hasObjectLock) {
      return s3Refusal(400, "InvalidRequest", "Bucket is missing Object Lock Configuration");
    }
    const digest = headers.get("content-md5");
    if ((mode !== null || isHeld) && digest === null && !headers.has("x-upload")) {
      const message = "Content-MD5 is required for Put Object requests with Object Lock parameters";
      return s3Refusal(400, "InvalidRequest", message);
    }
    if (digest !== null && digest !== createHash("md5").update(body).digest("base64")) {
      return s3Refusal(400, "BadDigest");
    }
    const until = headers.get("x-amz-object-lock-retain-until-date");
    const version: S3Version = {
      id: crypto.randomUUID(),
      body,
      storageClass: headers.get("x-amz-storage-class") ?? "STANDARD",
      lock: mode === null ? null : { mode, until: new Date(until ?? NaN) },
      isHeld,
      modifiedAt: new Date(),
    };
    versions.set(key, [...versions.get(key) ?? [], version]);
    return new Response(null, { headers: { etag: '"e"', "x-amz-version-id": version.id } });
  }

  function read({ method, key, headers }: S3Asked): Response {
    const version = present(key);
    if (version === null) return s3Refusal(404, "NoSuchKey");
    const { body, id, isHeld, modifiedAt } = version;
    const range = /^bytes=(\d+)-(\d*)$/.exec(headers.get("range") ?? "");
    const from = Number(range?.[1] ?? 0);
    const to = Math.min(body.length, range?.[2] ? Number(range[2]) + 1 : body.length);
    if (range !== null && from >= body.length) return s3Refusal(416, "InvalidRange");
    return new Response(method === "HEAD" ? null : body.slice(from, to) as BodyInit, {
      status: range === null ? 200 : 206,
      headers: {
        "content-length": String(to - from),
        "last-modified": modifiedAt.toUTCString(),
        "x-amz-version-id": id,
        ...(isHeld ? { "x-amz-object-lock-legal-hold": "ON" } : {}),
      },
    });
  }

  function remove({ key, query, headers }: S3Asked): Response {
    const all = versions.get(key) ?? [];
    const id = query.get("versionId");
    if (id === null) {
      if (all.length > 0) versions.set(key, [...all, null]);
      return new Response(null, { status: 204 });
    }
    const version = all.find((each) => each?.id === id);
    const isLocked = (version?.lock?.until.getTime() ?? 0) > Date.now();
    const bypasses = version?.lock?.mode === "GOVERNANCE" && server.mayBypass &&
      headers.get("x-amz-bypass-governance-retention") === "true";
    const isKept = server.heedsLocks && (version?.isHeld || isLocked && !bypasses);
    if (isKept) return s3Refusal(403, "AccessDenied", DENIED);
    versions.set(key, all.filter((each) => each?.id !== id));
    return new Response(null, { status: 204 });
  }

  function retention({ method, key, body }: S3Asked): Response {
    const version = present(key);
    if (version === null) return s3Refusal(404, "NoSuchKey");
    if (!server.hasObjectLock) {
      return s3Refusal(400, "InvalidRequest", "Bucket is missing Object Lock Configuration");
    }
    if (method === "GET") {
      if (version.lock === null) return s3Refusal(404, "NoSuchObjectLockConfiguration");
      const { mode, until } = version.lock;
      return xml(
        `<Retention><Mode>${mode}</Mode><RetainUntilDate>${until.toISOString()}</RetainUntilDate>` +
          "</Retention>",
      );
    }
    const text = new TextDecoder().decode(body);
    const mode = /<Mode>(\w+)<\/Mode>/.exec(text)![1]!;
    const until = new Date(/<RetainUntilDate>(.+)<\/RetainUntilDate>/.exec(text)![1]!);
    if (version.lock !== null && until < version.lock.until) {
      return s3Refusal(403, "AccessDenied", DENIED);
    }
    version.lock = { mode, until };
    return new Response(null);
  }

  function hold({ key, body }: S3Asked): Response {
    const version = present(key);
    if (version === null) return s3Refusal(404, "NoSuchKey");
    version.isHeld = /<Status>ON<\/Status>/.test(new TextDecoder().decode(body));
    return new Response(null);
  }

  function upload({ method, key, query, headers, body }: S3Asked): Response {
    if (query.has("uploads")) {
      const id = crypto.randomUUID();
      uploads.set(id, { headers, parts: new Map() });
      const root = "InitiateMultipartUploadResult";
      return xml(`<${root}><UploadId>${id}</UploadId></${root}>`);
    }
    const id = query.get("uploadId")!;
    const begun = uploads.get(id);
    if (begun === undefined) return s3Refusal(404, "NoSuchUpload");
    if (method === "PUT") {
      begun.parts.set(Number(query.get("partNumber")), body);
      return new Response(null, { headers: { etag: '"part"' } });
    }
    uploads.delete(id);
    if (method === "DELETE") return new Response(null, { status: 204 });
    const facts = new Headers(begun.headers);
    facts.set("x-upload", id);
    const condition = headers.get("if-none-match");
    if (condition !== null) facts.set("if-none-match", condition);
    const parts = [...begun.parts.keys()].sort((a, b) => a - b).map((n) => begun.parts.get(n)!);
    const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    const answer = put(key, facts, whole);
    return answer.ok ? xml("<CompleteMultipartUploadResult/>") : answer;
  }

  const server: LockingS3Server = {
    endpoint: `http://127.0.0.1:${listener.addr.port}`,
    versions,
    asked: [],
    hasObjectLock: true,
    heedsConditions: true,
    heedsLocks: true,
    mayBypass: false,
    buckets: null,
    fault: null,
    async close() {
      ending.abort(); // an orderly end would wait for connections that the client keeps
      await listener.finished;
    },
  };
  return server;
}

/** A refusal in S3's words. */
export function s3Refusal(status: number, code: string, message = code): Response {
  const text = `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  return new Response(text, { status, headers: { "content-type": "application/xml" } });
}

function xml(text: string): Response {
  return new Response(text, { headers: { "content-type": "application/xml" } });
}
