/**
 * The client of Azure Blob Storage, loaded on first use: it is large, and most backups go elsewhere.
 *
 * @module
 */
import type { BlobServiceClient, IHttpClient, WebResource } from "@azure/storage-blob";
import { Readable } from "node:stream";
import type { AzureAccess } from "./azure_access.ts";

/** A request is given up after this time. */
const TIMEOUT_MS = 120_000;

/** The client of an account. It tries nothing again: that is the business of `retryStorage`. */
export async function azureClient(access: AzureAccess): Promise<BlobServiceClient> {
  const azure = await import("@azure/storage-blob");
  const { endpoint, account, kind, secret } = access;
  const options = { httpClient: byFetch(), retryOptions: { maxTries: 1 } };
  if (kind === "signature") {
    const pipeline = azure.newPipeline(new azure.AnonymousCredential(), options);
    return new azure.BlobServiceClient(`${endpoint}?${secret.reveal()}`, pipeline);
  }
  const credential = new azure.StorageSharedKeyCredential(account ?? "", secret.reveal());
  return new azure.BlobServiceClient(endpoint, azure.newPipeline(credential, options));
}

type Sent = Awaited<ReturnType<IHttpClient["sendRequest"]>>;

/**
 * The runtime's own fetch in place of its copy of node:http, which stalls on bodies of megabytes. A server
 * may not send a request on: where it goes is what the settings say.
 */
function byFetch(): IHttpClient {
  return {
    async sendRequest(request: WebResource): Promise<Sent> {
      const headers = new Headers();
      for (const { name, value } of request.headers.headersArray()) {
        if (name.toLowerCase() !== "content-length") headers.set(name, value);
      }
      const { signal, end } = signalOf(request);
      try {
        const body = request.body as BodyInit | undefined;
        const answer = await fetch(request.url, {
          ...{ method: request.method, headers, redirect: "manual", signal },
          ...(body === undefined || body === null ? {} : { body }),
        });
        return await toSent(request, answer);
      } finally {
        end();
      }
    },
  };
}

async function toSent(request: WebResource, answer: Response): Promise<Sent> {
  const headers = request.headers.clone();
  for (const { name } of headers.headersArray()) headers.remove(name);
  for (const [name, value] of answer.headers) headers.set(name, value);
  const { status } = answer;
  const wantsStream = request.streamResponseStatusCodes?.has(status) ||
    (request.streamResponseBody && answer.ok);
  const common = { request, status, headers };
  if (!wantsStream || answer.body === null) return { ...common, bodyAsText: await answer.text() };
  return { ...common, readableStreamBody: Readable.from(answer.body.values()) };
}

/** The caller's signal and an end to waiting, in one. */
function signalOf({ abortSignal }: WebResource): { signal: AbortSignal; end: () => void } {
  const ending = new AbortController();
  const abort = () => ending.abort();
  const timer = setTimeout(abort, TIMEOUT_MS);
  if (abortSignal?.aborted) abort();
  abortSignal?.addEventListener("abort", abort);
  return {
    signal: ending.signal,
    end() {
      clearTimeout(timer);
      abortSignal?.removeEventListener("abort", abort);
    },
  };
}
