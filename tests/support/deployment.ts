/**
 * A project's deployment as a user makes it: a checkout, the README's lines, what the CLI uploads of it,
 * and the platform that runs that.
 *
 * @module
 */
import { dirname, fileURLToPath, join } from "../../scripts/paths.ts";
import { fromBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { type HostedPlatform, startHostedPlatform } from "./hosted_platform.ts";
import type { ManagementContract } from "./management_contract.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A folder that goes away with its owner. */
export interface TemporaryFolder extends AsyncDisposable {
  path: string;
}

/** An empty folder, or one with these files. */
export async function temporaryFolder(
  files: Record<string, string | Uint8Array> = {},
): Promise<TemporaryFolder> {
  const path = await Deno.makeTempDir({ prefix: "backup_deployment_" });
  for (const [name, content] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(path, name)), { recursive: true });
    await (typeof content === "string"
      ? Deno.writeTextFile(join(path, name), content)
      : Deno.writeFile(join(path, name), content));
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** What of this project the Supabase CLI looks at, in a folder of its own: the CLI writes notes there. */
export async function checkOut(): Promise<TemporaryFolder> {
  const files: Record<string, Uint8Array> = {};
  const visit = async (path: string) => {
    const { isDirectory } = await Deno.stat(join(ROOT, path));
    if (!isDirectory) files[path] = await Deno.readFile(join(ROOT, path));
    else {for await (const { name } of Deno.readDir(join(ROOT, path))) {
        await visit(`${path}/${name}`);
      }}
  };
  for (const path of ["deno.json", "import_map.json", "supabase"]) await visit(path);
  return await temporaryFolder(files);
}

/** The blocks of a language below a heading of a page. */
export async function linesOf(page: string, heading: string, language = "sh"): Promise<string[]> {
  const text = await Deno.readTextFile(join(ROOT, page));
  const from = text.indexOf(`## ${heading}\n`);
  if (from < 0) throw new Error(`${page} has no heading ${heading}`);
  const rest = text.slice(from + 3);
  const end = rest.search(/^## /m);
  const section = end < 0 ? rest : rest.slice(0, end);
  const blocks = section.matchAll(/^```(\w+)\n(.*?)^```$/gms);
  return [...blocks].filter(([, of]) => of === language).map(([, , lines]) => lines as string);
}

/** Puts a page's lines to work here: each placeholder has to be there. */
export function fillIn(lines: string, values: Record<string, string>): string {
  return Object.entries(values).reduce((text, [placeholder, value]) => {
    if (!text.includes(placeholder)) throw new Error(`the page does not say ${placeholder}`);
    return text.replaceAll(placeholder, value);
  }, lines);
}

/** What was uploaded of a function, alone in a folder. */
export interface Upload extends TemporaryFolder {
  entrypoint: string;
  importMap: string;
  files: string[];
  bytes: number;
}

/** Unpacks what the stand-in was given. */
export async function placeUpload(contract: ManagementContract, slug: string): Promise<Upload> {
  const { entrypoint, importMap, files } = contract.resources.functions.deployedWith(slug);
  if (importMap === null) throw new Error(`${slug} was uploaded without its import map`);
  const contents = Object.fromEntries(
    Object.entries(files).map(([path, base64]) => [path, fromBase64(base64)]),
  );
  const bytes = Object.values(contents).reduce((sum, { length }) => sum + length, 0);
  return {
    ...await temporaryFolder(contents),
    ...{ entrypoint, importMap, bytes, files: Object.keys(files).sort() },
  };
}

/** The secret key that each project begins with. */
export function secretKey({ resources }: ManagementContract): string {
  const key = resources.secrets.keys.find(({ type }) => type === "secret");
  if (key === undefined) throw new Error("the project has no secret key");
  return key.value;
}

/** Runs an upload with what the platform gives to functions, and nothing else. */
export function runUpload(
  { path, entrypoint, importMap }: Upload,
  { contract, databaseUrl, onLog }: {
    contract: ManagementContract;
    databaseUrl: string;
    onLog?: (line: string) => void;
  },
): HostedPlatform {
  const { secrets, functions } = contract.resources;
  const keys = (type: string) =>
    JSON.stringify(
      Object.fromEntries(
        secrets.keys.filter((key) => key.type === type).map(({ name, value }) => [name, value]),
      ),
    );
  const deployed = [...functions.functions.values()].find(({ slug }) => slug === "backup");
  return startHostedPlatform({
    entry: new URL(`file://${path}/${entrypoint}`),
    deployed: {
      folder: path,
      importMap,
      deploymentId: `${contract.projectRef}_${deployed?.id}_${deployed?.version}`,
    },
    variables: {
      SUPABASE_DB_URL: databaseUrl,
      SUPABASE_PUBLISHABLE_KEYS: keys("publishable"),
      SUPABASE_SECRET_KEYS: keys("secret"),
      SUPABASE_JWKS: '{"keys":[]}',
      SUPABASE_ANON_KEY: "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.x",
      SUPABASE_SERVICE_ROLE_KEY: "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.x",
      SB_REGION: "eu-central-1",
      ...Object.fromEntries(secrets.secrets),
    },
    ...(onLog === undefined ? {} : { onLog }),
  });
}
