/**
 * The large client of Amazon S3, or of a server that speaks its protocol, as this runtime needs it.
 *
 * @module
 */
import { S3Client } from "@aws-sdk/client-s3";
import { FetchHttpHandler } from "@smithy/fetch-http-handler";
import type { S3Access } from "./s3_bucket.ts";
import { amazonEndpoint } from "./s3_names.ts";

/** Makes it; nothing is asked of the server yet. It tries everything once. */
export function s3Client(options: S3Access): S3Client {
  const { accessKeyId, secretAccessKey, sessionToken } = options.credentials;
  const client = new S3Client({
    region: options.region,
    forcePathStyle: options.pathStyle,
    // Not where its own variables and files say: to the server that all other requests go to.
    endpoint: (options.endpoint ?? amazonEndpoint(options.region)).replace(/\/+$/, ""),
    useFipsEndpoint: false,
    useDualstackEndpoint: false,
    credentials: {
      accessKeyId,
      secretAccessKey: secretAccessKey.reveal(),
      ...(sessionToken === null ? {} : { sessionToken: sessionToken.reveal() }),
    },
    maxAttempts: 1,
    // Servers other than Amazon's refuse the newer checksum headers.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // The runtime's own fetch: its copy of node:http stalls on bodies of megabytes.
    // A server may not send the request on: where it goes is what the settings say.
    requestHandler: new FetchHttpHandler({
      requestTimeout: 120_000,
      requestInit: () => ({ redirect: "manual" }),
    }),
  });
  askForBytesAsTheyAre(client);
  return client;
}

/**
 * The runtime would ask for compressed answers and undo them: useless for encrypted objects, and it
 * fails on the answer to HEAD. Set after signing, since proxies may change this header.
 */
function askForBytesAsTheyAre(client: S3Client): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const { request } = args as { request: { headers: Record<string, string> } };
      request.headers["accept-encoding"] = "identity";
      return next(args);
    },
    { step: "finalizeRequest", priority: "low", name: "askForBytesAsTheyAre" },
  );
}
