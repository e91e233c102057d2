/**
 * A whole project for tests by HTTP: database, Storage, Management API, and the function over them.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Project } from "../../scripts/demo/start_project.ts";
import { startService } from "../../scripts/start_service.ts";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import {
  CONTRACT_REF,
  CONTRACT_TOKEN,
  type ManagementContract,
  startManagementContract,
} from "./management_contract.ts";
import { type Answer, call } from "./service.ts";
import { StorageServer } from "./storage_server.ts";

/** See the module. */
export interface WholeProject extends AsyncDisposable {
  files: StorageServer;
  management: ManagementContract;
  service: ReturnType<typeof startService>;
  /** Where backups are kept, and what opens them. */
  folder: string;
  /** The function's environment. */
  variables: Record<string, string>;
  encryptionKey: string;
  /** The same project with one more process of the function. */
  again(): WholeProject;
}

/** How it is started. */
export interface WholeProjectOptions {
  /** A database in the platform's shape, to which the function comes as `postgres`. @default a plain one */
  platform?: Pick<Project, "databaseUrl" | "adminUrl">;
  /** @default that of the contract */
  projectRef?: string;
}

/** Starts one on an empty project. */
export async function startWholeProject(
  variables: Record<string, string> = {},
  { platform, projectRef = CONTRACT_REF }: WholeProjectOptions = {},
): Promise<WholeProject> {
  const files = platform === undefined
    ? await StorageServer.start("whole")
    : await StorageServer.over(platform.adminUrl);
  const management = startManagementContract({ projectRef });
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-whole-" });
  const encryptionKey = toBase64(crypto.getRandomValues(new Uint8Array(32)));
  const all = {
    SUPABASE_DB_URL: platform?.databaseUrl ?? files.databaseUrl,
    SUPABASE_URL: files.url,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: files.key }),
    BACKUP_PROJECT_REF: projectRef,
    BACKUP_MANAGEMENT_URL: management.url,
    BACKUP_MANAGEMENT_TOKEN: CONTRACT_TOKEN,
    // What comes with minutes between is done within seconds.
    BACKUP_MANAGEMENT_REQUESTS_PER_MINUTE: "6000",
    BACKUP_STORAGE_TYPE: "local",
    BACKUP_STORAGE_PATH: folder,
    BACKUP_ENCRYPTION_KEY: encryptionKey,
    ...variables,
  };
  const service = startService(all);
  const project: WholeProject = {
    ...{ files, management, service, folder, encryptionKey, variables: all },
    again() {
      const service = startService(all);
      return { ...project, service, [Symbol.asyncDispose]: () => service.stop() };
    },
    async [Symbol.asyncDispose]() {
      await service.stop();
      await management.close();
      await files[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
  return project;
}

/** Asks an action. */
export const ask = ({ service, files }: WholeProject, query: string) =>
  call(service, query, { key: files.key });

/** Posts to an action. */
export const tell = ({ service, files }: WholeProject, query: string, body: unknown = {}) =>
  call(service, query, { method: "POST", body, key: files.key });

/** Waits for the end of all jobs of a recovery point. */
export async function endedPoint(project: WholeProject, pointId: string): Promise<Answer["body"]> {
  for (let tries = 0; tries < 600; tries++) {
    const { body } = await ask(project, "recovery-points");
    const found = body.data?.points.find((each: { pointId: string }) => each.pointId === pointId);
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${pointId} never came to its end`);
}

/** Deploys a function as the Supabase CLI does. */
export async function deploy(
  management: ManagementContract,
  source: string,
  slug = "hello",
): Promise<void> {
  const form = new FormData();
  const metadata = { entrypoint_path: "index.ts", name: slug, verify_jwt: true };
  form.append("metadata", JSON.stringify(metadata));
  form.append("file", new File([source], "index.ts"), "index.ts");
  const response = await fetch(
    `${management.url}/v1/projects/${management.projectRef}/functions/deploy?slug=${slug}`,
    { method: "POST", headers: { authorization: `Bearer ${CONTRACT_TOKEN}` }, body: form },
  );
  assert.equal(response.status, 201, await response.text());
}
