/**
 * Compares a value that we hold with the digest that the Management API gives of a secret. The API does
 * not document the digest: the forms here are those that are known.
 *
 * @module
 */
import { cryptoBytes, toHex, utf8 } from "../core/bytes.ts";

/** How a digest is made: of the value alone, or keyed with the project's ref. */
export type DigestForm = "sha256" | "hmac-sha256-ref";

/** The form in which this digest is one of the value; null when it is not one in any known form. */
export async function digestForm(
  digest: string,
  { value, projectRef }: { value: string; projectRef: string },
): Promise<DigestForm | null> {
  if (digest === await sha256(value)) return "sha256";
  if (digest === await keyedSha256(value, projectRef)) return "hmac-sha256-ref";
  return null;
}

/** SHA-256 of a text, in hexadecimal. */
export async function sha256(value: string): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", cryptoBytes(utf8(value)))));
}

async function keyedSha256(value: string, projectRef: string): Promise<string> {
  if (projectRef === "") return "";
  const key = await crypto.subtle.importKey(
    "raw",
    cryptoBytes(utf8(projectRef)),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  return toHex(new Uint8Array(await crypto.subtle.sign("HMAC", key, cryptoBytes(utf8(value)))));
}
