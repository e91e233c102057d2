/**
 * What an S3 server finds out of a request's signature.
 *
 * @module
 */
import { createHash, createHmac } from "node:crypto";

/**
 * Whether a request is signed as version 4 of Amazon's signatures says, by what arrived of it: address, all
 * headers that it names, and the digest of its body.
 */
export function isSigned(request: Request, body: Uint8Array, secret: string): boolean {
  const { pathname, searchParams, host } = new URL(request.url);
  const authorization = request.headers.get("authorization") ?? "";
  const [, scope = "", signed = "", signature = ""] =
    /Credential=[^/]+\/([^,]+), ?SignedHeaders=([^,]+), ?Signature=(\w+)/.exec(authorization) ?? [];
  const encode = (text: string) =>
    encodeURIComponent(text)
      .replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  const query = [...searchParams].map(([name, value]) => `${encode(name)}=${encode(value)}`);
  const names = signed.split(";");
  const headers = names.map((name) =>
    `${name}:${name === "host" ? host : request.headers.get(name)}\n`
  );
  const mustBeSigned = [...request.headers.keys()].filter((name) => /^(x-amz-|host$)/.test(name));
  const inOrder = names.toSorted().join() === names.join();
  if (!inOrder || !mustBeSigned.every((name) => names.includes(name))) return false;
  const digest = createHash("sha256").update(body).digest("hex");
  const canonical = [
    ...[request.method, encode(decodeURIComponent(pathname)).replaceAll("%2F", "/")],
    ...[query.sort().join("&"), headers.join(""), signed, digest],
  ].join("\n");
  const time = request.headers.get("x-amz-date");
  const key = scope.split("/").reduce<string | Uint8Array>(
    (key, part) => createHmac("sha256", key).update(part).digest(),
    `AWS4${secret}`,
  );
  const ofRequest = createHash("sha256").update(canonical).digest("hex");
  const text = ["AWS4-HMAC-SHA256", time, scope, ofRequest].join("\n");
  return request.headers.get("x-amz-content-sha256") === digest &&
    createHmac("sha256", key).update(text).digest("hex") === signature;
}
