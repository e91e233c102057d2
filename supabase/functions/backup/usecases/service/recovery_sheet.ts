/**
 * The recovery sheet: a page in the storage, in clear and without any secret, that says to whoever finds it how
 * what lies there is restored without the service. The page on the repository's format lies beside it.
 *
 * @module
 */
import { toHex, utf8 } from "../../core/bytes.ts";
import { RELEASE } from "../../core/release.ts";
import type { Settings } from "../../core/settings.ts";
import { settingsAddress } from "../../storage/settings_address.ts";
import type { Storage } from "../../storage/storage.ts";
import { addressOf } from "../restore/restore_command.ts";

/** Beside `repository.json`. */
const FOLDER = "recovery";

/** Digits of the digest in a page's name. */
const DIGITS = 12;

/**
 * Puts both pages into the storage, unless they are there as they are. Objects are never changed there, so what
 * a page says is in its name: other settings or another release make another page.
 *
 * @returns the sheet's name
 * @throws the `storage_*` codes
 */
export async function keepRecoverySheet(storage: Storage, settings: Settings): Promise<string> {
  const { FORMAT_DOCUMENT } = await import("./format_document.ts");
  const format = await put(storage, "repository-format-1", FORMAT_DOCUMENT);
  return await put(storage, `restore-${RELEASE}`, recoverySheet(settings, format));
}

async function put(storage: Storage, title: string, text: string): Promise<string> {
  const body = utf8(text);
  const digest = toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", body)));
  const name = `${FOLDER}/${title}-${digest.slice(0, DIGITS)}.md`;
  await storage.put(name, body);
  return name;
}

/** The sheet's text. `format` is the name of the page on the format. */
export function recoverySheet(settings: Settings, format: string): string {
  const { backupStorageType: type, enableEncryption } = settings;
  const credentials = type === "local"
    ? []
    : settingsAddress(settings).credentials.filter(({ optional }) => !optional)
      .map(({ variable }) => variable);
  const address = `'${addressOf(settings).replaceAll("'", `'\\''`)}'`;
  const plainly = enableEncryption ? "" : " --no-encryption";
  const exported = [
    ...credentials.map((name) => `${name}=…`),
    ...(enableEncryption ? ['BACKUP_ENCRYPTION_KEY="$(cat backup.key)"'] : []),
  ];
  return `# Restore from this place, without the service that wrote it

Here lie backups of a Supabase project: its database and, where they were saved, its functions, settings and files.
supabase-backup ${RELEASE} has written them in format 1 of its repository${
    enableEncryption ? ", encrypted with AES-256-GCM" : ", not encrypted"
  }.

## What it takes

- This place, as \`REPOSITORY\` below${
    credentials.length === 0
      ? "."
      : `, and credentials that may read it: ${credentials.join(", ")}.`
  }
- ${
    enableEncryption
      ? "The encryption key, here in the file `backup.key`. It is not in this place and cannot be worked out from it."
      : "No key."
  }
- A checkout of supabase-backup, release ${RELEASE} or newer, and Deno; with Node alone, \`npx -y deno@2.1.4\` stands for \`deno\`.
- The address of a database that may be written, \`NEW_DATABASE_URL\`. An empty one is best.

## How

In the folder of the checkout:

\`\`\`sh
${exported.length === 0 ? "" : `export ${exported.join(" ")}\n`}export REPOSITORY=${address}
\`\`\`

\`\`\`sh run
deno task backups --repository "$REPOSITORY"${plainly}
deno task restore --repository "$REPOSITORY" --backup latest --database-url "$NEW_DATABASE_URL" --target plain${plainly}
\`\`\`

Leave \`--target plain\` out where the database is of a new Supabase project. Functions, settings and files:
\`docs/runbooks/complete-failure.md\` of the checkout.

## Without that software

\`${format}\` says byte by byte how everything here is stored, so that any program can read it.

Whoever may write to this place may have changed this page: hold its lines against the checkout's README before you run them.
`;
}
