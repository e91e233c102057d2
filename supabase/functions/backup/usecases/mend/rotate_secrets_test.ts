import assert from "node:assert/strict";
import {
  type ManagementContract,
  startManagementContract,
} from "../../../../../tests/support/management_contract.ts";
import { BackupError } from "../../core/errors.ts";
import type { Secret } from "../../core/secret.ts";
import { DEFAULT_SETTINGS } from "../../core/settings.ts";
import type { AuditEvent } from "../../state/backup_audit_log.ts";
import type { Deps } from "../deps.ts";
import { findRotatable } from "./find_rotatable.ts";
import { rotateSecrets } from "./rotate_secrets.ts";

/** What the use-case touches of the service, in memory. */
function startProject(platform: ManagementContract) {
  const vault = new Map<string, string>();
  const audit: AuditEvent[] = [];
  const api = platform.api();
  const settings = { ...DEFAULT_SETTINGS, allowLegacyServiceRoleKey: false };
  const deps = {
    project: { management: () => ({ api, projectRef: api.projectRef }) },
    settings: () => Promise.resolve({ settings, fromTables: true }),
    state: {
      audit: { add: (event: AuditEvent) => Promise.resolve(void audit.push(event)) },
      vaultSecret: (name: string) => Promise.resolve(vault.get(name) ?? null),
      keepVaultSecret: (name: string, value: Secret) =>
        Promise.resolve(void vault.set(name, value.reveal())),
    },
    reportError: () => {},
  } as unknown as Deps;
  return { deps, vault, audit };
}

const caller = { name: "default", requestId: "req_1" };
const { signal } = new AbortController();

Deno.test("rotateSecrets() rotates each name, tells no value, and a second call changes nothing more", async () => {
  await using platform = startManagementContract();
  const { secrets } = platform.resources;
  const { deps, vault, audit } = startProject(platform);
  const names = ["database_password", "publishable_key:default", "api_key:default", "legacy_keys"];
  const old = secrets.keys.map(({ value }) => value);

  const first = await rotateSecrets(deps, caller, { names, key: "execution_1:rotate", signal });
  assert.deepEqual(first.map(({ name, outcome }) => [name, outcome]), [
    ["publishable_key:default", "done"],
    ["api_key:default", "done"],
    ["legacy_keys", "done"],
    ["database_password", "done"],
  ]);
  assert.deepEqual(secrets.keys.map(({ name, type }) => `${type} ${name}`), [
    "publishable default",
    "secret default",
  ]);
  const values = secrets.keys.map(({ value }) => value);
  assert.ok(values.every((value) => !old.includes(value)));
  assert.equal(secrets.legacy, false);
  const [[place, password]] = [...vault] as [[string, string]];
  assert.equal(secrets.databasePassword, password);
  assert.match(first[3]!.byHand.join(), new RegExp(place));

  const again = await rotateSecrets(deps, caller, { names, key: "execution_1:rotate", signal });
  assert.deepEqual(secrets.keys.map(({ value }) => value), values);
  assert.deepEqual(again.slice(0, 3).map(({ outcome }) => outcome), Array(3).fill("already"));
  assert.equal(secrets.databasePassword, password, "the password that was kept is set again");
  assert.equal(audit.length, 8);
  const told = JSON.stringify([first, again, audit]);
  for (const value of [...values, password]) assert.ok(!told.includes(value));
  assert.ok(
    platform.seen.every((line) => !line.includes("v1-get-project-api-key ")),
    "none is read",
  );
});

Deno.test("rotateSecrets() goes on after a name that fails, and fails with all that came of it", async () => {
  await using platform = startManagementContract();
  const { deps, audit } = startProject(platform);
  const names = ["api_key:nobody", "legacy_keys"];
  await assert.rejects(
    rotateSecrets(deps, caller, { names, key: "execution_2:rotate", signal }),
    (error) => {
      assert.ok(error instanceof BackupError);
      assert.equal(error.code, "not_found");
      assert.match(error.message, /Cannot rotate api_key:nobody/);
      assert.deepEqual(error.details, {
        rotated: [{ name: "legacy_keys", said: "legacy keys are switched off" }],
        failed: [{ name: "api_key:nobody", code: "not_found" }],
      });
      return true;
    },
  );
  assert.deepEqual(audit.map(({ subject, outcome }) => `${subject} ${outcome}`), [
    "api_key:nobody failed",
    "legacy_keys completed",
  ]);
});

Deno.test("rotateSecrets() leaves the database's password as it is where it could not be kept", async () => {
  await using platform = startManagementContract();
  const { deps } = startProject(platform);
  const before = platform.resources.secrets.databasePassword;
  deps.state.vaultSecret = () => Promise.reject(new BackupError("not_found", "no such schema"));
  await assert.rejects(
    rotateSecrets(deps, caller, { names: ["database_password"], key: "execution_3", signal }),
    { code: "target_unfit" },
  );
  assert.equal(platform.resources.secrets.databasePassword, before);
});

Deno.test("findRotatable() names what can be rotated and what only its issuer can change", async () => {
  await using platform = startManagementContract();
  const { deps } = startProject(platform);
  platform.resources.secrets.secrets.set("STRIPE_KEY", "sk_live_1");
  assert.deepEqual(await findRotatable(deps, signal), {
    names: ["publishable_key:default", "api_key:default", "legacy_keys", "database_password"],
    reasons: ["new values only from their issuers, then supabase secrets set <name>=…: STRIPE_KEY"],
  });
  platform.resources.secrets.legacy = false;
  assert.ok(!(await findRotatable(deps, signal)).names.includes("legacy_keys"));
});
