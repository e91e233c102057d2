/**
 * Resumable uploads of the stand-in for Supabase Storage (TUS 1.0.0).
 *
 * @module
 */
import {
  concat,
  fromBase64,
  fromUtf8,
  toBase64,
  utf8,
} from "../../supabase/functions/backup/core/bytes.ts";
import { DUPLICATE, LIMITS, NO_BUCKET, Refusal } from "./storage_refusals.ts";
import type { StorageServer } from "./storage_server.ts";

/** The only size of a step that is not the last. */
const STEP_BYTES = 6 * 1024 * 1024;

interface Upload {
  bucket: string;
  name: string;
  length: number;
  metadata: Record<string, string>;
  offset: number;
  /** Null when nothing but zeros came, which take no memory. */
  parts: Uint8Array[] | null;
}

/** See the module. */
export class StorageUploads {
  readonly #server: StorageServer;
  readonly #uploads = new Map<string, Upload>();

  constructor(server: StorageServer) {
    this.#server = server;
  }

  /** @param id empty for the collection */
  async answer(request: Request, id: string): Promise<Response> {
    if (request.headers.get("tus-resumable") !== "1.0.0") {
      throw new Refusal(412, "TusError", "Tus-Resumable Required");
    }
    if (request.method === "POST") return await this.#create(request);
    const upload = this.#uploads.get(id);
    if (upload === undefined) {
      throw new Refusal(404, "TusError", "The file for this url was not found");
    }
    if (request.method === "PATCH") return await this.#patch(request, upload);
    return answer(200, {
      "upload-offset": String(upload.offset),
      "upload-length": String(upload.length),
      "cache-control": "no-store",
    });
  }

  /** As after a day. */
  forgetAll(): void {
    this.#uploads.clear();
  }

  async #create(request: Request): Promise<Response> {
    const metadata = Object.fromEntries(
      (request.headers.get("upload-metadata") ?? "").split(",").map((pair) => {
        const [name = "", value = ""] = pair.split(" ");
        return [name, fromUtf8(fromBase64(value))];
      }),
    );
    const { bucketName: bucket = "", objectName: name = "", contentType = "" } = metadata;
    const length = Number(request.headers.get("upload-length"));
    if (length > LIMITS.all) throw new Refusal(413, "TusError", "Maximum size exceeded");
    if (await this.#server.bucketLimits(bucket) === null) throw NO_BUCKET();
    await this.#requireRoom(request, { bucket, name });
    const rules = { bytes: length, mimetype: contentType, most: LIMITS.all };
    await this.#server.requireAllowed({ bucket, name }, rules);
    const plain = toBase64(utf8(`${bucket}/${name}/${crypto.randomUUID()}`));
    const id = plain.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
    this.#uploads.set(id, { bucket, name, length, metadata, offset: 0, parts: null });
    // The address names a host that only the server's own gateway knows.
    return answer(201, { location: `http://storage.internal:5000/upload/resumable/${id}` });
  }

  async #patch(request: Request, upload: Upload): Promise<Response> {
    await this.#requireRoom(request, upload);
    if (Number(request.headers.get("upload-offset")) !== upload.offset) {
      throw new Refusal(409, "TusError", "Upload-Offset conflict");
    }
    const declared = Number(request.headers.get("content-length"));
    const isWhole = upload.offset % STEP_BYTES !== 0 || declared === STEP_BYTES ||
      upload.offset + declared === upload.length;
    if (!isWhole) throw new Refusal(400, "TusError", `${declared} bytes are no step`);
    try {
      for await (const chunk of request.body ?? []) this.#append(upload, chunk);
    } catch {
      throw new Refusal(500, "InternalError", "the request broke off"); // what came is kept
    }
    if (upload.offset === upload.length) await this.#finish(upload);
    return answer(204, { "upload-offset": String(upload.offset) });
  }

  #append(upload: Upload, chunk: Uint8Array): void {
    const zeros = chunk.every((byte) => byte === 0);
    if (!zeros && upload.parts === null) {
      upload.parts = upload.offset === 0 ? [] : [new Uint8Array(upload.offset)];
    }
    upload.parts?.push(chunk.slice());
    upload.offset += chunk.length;
  }

  async #finish({ bucket, name, length, metadata, parts }: Upload): Promise<void> {
    const { contentType, cacheControl, metadata: attached } = metadata;
    const seconds = /^-?\d+$/.test(cacheControl ?? "") ? `max-age=${cacheControl}` : "no-cache";
    await this.#server.put(
      bucket,
      name,
      parts === null ? { zeros: length } : { bytes: concat(parts) },
      {
        cacheControl: seconds,
        ...(contentType === undefined ? {} : { mimetype: contentType }),
        ...(attached === undefined ? {} : { userMetadata: JSON.parse(attached) }),
      },
    );
  }

  async #requireRoom(
    request: Request,
    { bucket, name }: { bucket: string; name: string },
  ): Promise<void> {
    if (request.headers.get("x-upsert") === "true") return;
    if (await this.#server.row(bucket, name) !== null) throw DUPLICATE();
  }
}

function answer(status: number, headers: Record<string, string>): Response {
  return new Response(null, { status, headers: { "tus-resumable": "1.0.0", ...headers } });
}
