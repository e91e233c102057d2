/**
 * What a check of an S3 provider asks besides keeping objects.
 *
 * @module
 */
import {
  DeleteObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { isPreconditionFailed, isUnsupported, statusOf } from "./s3_errors.ts";
import { CHECKED, checksumFor } from "./s3_locks.ts";
import type { ProviderProbe } from "./storage.ts";

/** How the storage reaches its bucket. */
interface S3Access {
  client: S3Client;
  objectOf: (name: string) => { Bucket: string; Key: string };
  /** Turns errors into ours. */
  run: <T>(verb: string, signal: AbortSignal | undefined, run: () => Promise<T>) => Promise<T>;
}

/** The probe of a bucket. */
export function s3Probe({ client, objectOf, run }: S3Access): ProviderProbe {
  return {
    overwrite: (name, body, signal) =>
      run(`overwrite ${name}`, signal, async () => {
        // A bucket with a lock of its own wants the checksum from everybody.
        const checksum = checksumFor({ mode: null, days: 0, legalHold: false }, body);
        const input = { ...objectOf(name), ...checksum, IfNoneMatch: "*", Body: body };
        try {
          await client.send(new PutObjectCommand(input), abort(signal));
          return "done";
        } catch (error) {
          if (isPreconditionFailed(error)) return "refused";
          if (isUnsupported(error)) return "done"; // without the condition nothing would stop it
          throw error;
        }
      }),
    destroy: (name, { bypassLock, signal }) =>
      run(`destroy ${name}`, signal, async () => {
        const object = objectOf(name);
        try {
          const { VersionId, ObjectLockLegalHoldStatus: hold } = await client.send(
            new HeadObjectCommand(object),
            abort(signal),
          );
          if (bypassLock && hold === "ON") {
            const LegalHold = { Status: "OFF" as const };
            await client.send(
              new PutObjectLegalHoldCommand({ ...object, ...CHECKED, LegalHold }),
              abort(signal),
            );
          }
          // Without its version an object is hidden, and its bytes stay.
          const input = {
            ...object,
            ...(VersionId === undefined ? {} : { VersionId }),
            ...(bypassLock ? { BypassGovernanceRetention: true } : {}),
          };
          await client.send(new DeleteObjectCommand(input), abort(signal));
          return "done";
        } catch (error) {
          if (statusOf(error) === 404) return "done";
          if ([400, 403, 405].includes(statusOf(error))) return "refused";
          throw error;
        }
      }),
    reachesMore: (signal) =>
      run("list the buckets", signal, async () => {
        try {
          const { Buckets = [] } = await client.send(new ListBucketsCommand({}), abort(signal));
          return Buckets.length > 1;
        } catch (error) {
          if ([401, 403].includes(statusOf(error))) return false;
          if (statusOf(error) >= 300 && statusOf(error) < 500 || isUnsupported(error)) return null;
          throw error;
        }
      }),
  };
}

function abort(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal ? { abortSignal: signal } : {};
}
