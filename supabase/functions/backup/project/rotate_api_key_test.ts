import assert from "node:assert/strict";
import {
  type ManagementContract,
  startManagementContract,
} from "../../../../tests/support/management_contract.ts";
import { BackupError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";
import { createNewKey, disableOldKey, type KeyRotation } from "./rotate_api_key.ts";
import { disableLegacyKeys, rotateDatabasePassword, setVariable } from "./rotate_secrets.ts";

const { signal } = new AbortController();
const ROTATION: KeyRotation = { type: "secret", name: "default", rotationId: "20260101a" };

function keysOf({ resources }: ManagementContract) {
  return resources.secrets.keys;
}

function collector() {
  const given: { name: string; value: Secret }[] = [];
  return {
    given,
    give(key: { name: string; value: Secret }) {
      given.push(key);
      return Promise.resolve();
    },
  };
}

function withCode(code: string) {
  return (error: unknown) => error instanceof BackupError && error.code === code;
}

Deno.test("createNewKey() makes one key with the old one's claims, and finds it when it is called again", async () => {
  await using contract = startManagementContract();
  const api = contract.api();
  const old = keysOf(contract).find(({ type }) => type === "secret")!;
  old.secret_jwt_template = { role: "service_role", extra: "claim" };
  const { given, give } = collector();

  const first = await createNewKey(api, ROTATION, { give, signal });
  const second = await createNewKey(api, ROTATION, { give, signal });

  assert.deepEqual([first.outcome, second.outcome], ["done", "already"]);
  const [made, ...more] = keysOf(contract).filter(({ name }) => name === "default_r20260101a");
  assert.deepEqual(more, []);
  assert.deepEqual(made?.secret_jwt_template, old.secret_jwt_template);
  assert.deepEqual(given.map(({ value }) => value.reveal()), [made?.value, made?.value]);
  assert.ok(!JSON.stringify([first, second, given]).includes(made!.value));
  assert.ok(keysOf(contract).includes(old));
});

Deno.test("createNewKey() makes no second key when the answer to the first request is lost", async () => {
  await using contract = startManagementContract();
  contract.fail("v1-create-project-api-key", "lost");
  const { given, give } = collector();
  const { outcome } = await createNewKey(contract.api(), ROTATION, { give, signal });
  assert.equal(outcome, "done");
  assert.equal(given.length, 1);
  assert.equal(keysOf(contract).length, 3);
});

Deno.test("createNewKey() refuses to replace a key that is not there, and names that are none", async () => {
  await using contract = startManagementContract();
  const { give } = collector();
  const call = (rotation: KeyRotation) => createNewKey(contract.api(), rotation, { give, signal });
  await assert.rejects(call({ ...ROTATION, name: "nobody" }), withCode("not_found"));
  await assert.rejects(call({ ...ROTATION, rotationId: "Not An Id" }), withCode("invalid_request"));
  assert.equal(keysOf(contract).length, 2);
});

Deno.test("disableOldKey() deletes the old key and gives its name to the new one, however often it is called", async () => {
  await using contract = startManagementContract();
  const api = contract.api();
  const old = keysOf(contract).find(({ type }) => type === "secret")!;
  const { give, given } = collector();
  await createNewKey(api, ROTATION, { give, signal });

  const first = await disableOldKey(api, ROTATION, { compromised: true, signal });
  const second = await disableOldKey(api, ROTATION, { compromised: true, signal });

  assert.deepEqual([first.outcome, second.outcome], ["done", "already"]);
  const left = keysOf(contract).filter(({ type }) => type === "secret");
  assert.deepEqual(left.map(({ name, value }) => [name, value]), [
    ["default", given[0]?.value.reveal()],
  ]);
  assert.notEqual(left[0]?.id, old.id);
  const again = await createNewKey(api, ROTATION, { give, signal });
  assert.equal(again.outcome, "already");
});

Deno.test("disableOldKey() goes on where a worker died between deleting and renaming", async () => {
  await using contract = startManagementContract();
  const api = contract.api();
  await createNewKey(api, ROTATION, { ...collector(), signal });
  contract.fail("v1-update-project-api-key", { status: 400 });
  await assert.rejects(
    disableOldKey(api, ROTATION, { compromised: false, signal }),
    withCode("management_refused"),
  );
  const { outcome } = await disableOldKey(api, ROTATION, { compromised: false, signal });
  assert.equal(outcome, "done");
  const names = keysOf(contract).map(({ type, name }) => `${type} ${name}`);
  assert.deepEqual(names.sort(), ["publishable default", "secret default"]);
});

Deno.test("disableOldKey() deletes nothing while nothing takes the key's place", async () => {
  await using contract = startManagementContract();
  await assert.rejects(
    disableOldKey(contract.api(), ROTATION, { compromised: true, signal }),
    withCode("conflict"),
  );
  assert.equal(keysOf(contract).length, 2);
});

Deno.test("disableLegacyKeys() switches them off once, and not while the project has no others", async () => {
  await using contract = startManagementContract();
  const { secrets } = contract.resources;
  const keys = secrets.keys;
  secrets.keys = keys.filter(({ type }) => type === "publishable");
  await assert.rejects(disableLegacyKeys(contract.api(), signal), withCode("conflict"));
  assert.equal(secrets.legacy, true);
  secrets.keys = keys;
  assert.equal((await disableLegacyKeys(contract.api(), signal)).outcome, "done");
  assert.equal(secrets.legacy, false);
  assert.equal((await disableLegacyKeys(contract.api(), signal)).outcome, "already");
  secrets.hasLegacySwitch = false;
  const { said } = await disableLegacyKeys(contract.api(), signal);
  assert.match(said, /no switch for legacy keys any more/);
});

Deno.test("rotateDatabasePassword() keeps a password before it is set, and sets the kept one again", async () => {
  await using contract = startManagementContract();
  const kept: Secret[] = [];
  const place = {
    find: () => Promise.resolve(kept.at(-1) ?? null),
    keep(password: Secret) {
      assert.equal(contract.resources.secrets.databasePassword, "the first password");
      kept.push(password);
      return Promise.resolve();
    },
  };
  contract.fail("v1-update-database-password", { status: 403 });
  const rotate = () => rotateDatabasePassword(contract.api(), { place, signal });
  await assert.rejects(rotate(), withCode("management_forbidden"));
  const result = await rotate();
  assert.equal(kept.length, 1);
  const [password] = kept;
  assert.match(password!.reveal(), /^[A-Za-z0-9_-]{43}$/);
  assert.equal(contract.resources.secrets.databasePassword, password!.reveal());
  assert.ok(!JSON.stringify(result).includes(password!.reveal()));
});

Deno.test("rotateDatabasePassword() sets nothing that could not be kept, and quotes no password", async () => {
  await using contract = startManagementContract();
  const place = {
    find: () => Promise.resolve(null),
    keep: () => Promise.reject(new BackupError("storage_full", "no room")),
  };
  await assert.rejects(
    rotateDatabasePassword(contract.api(), { place, signal }),
    withCode("storage_full"),
  );
  assert.equal(contract.resources.secrets.databasePassword, "the first password");
  const echo = { find: () => Promise.resolve(new Secret("hunter22")), keep: place.keep };
  contract.fail("v1-update-database-password", { status: 400, message: "hunter22 is too weak" });
  await assert.rejects(
    rotateDatabasePassword(contract.api(), { place: echo, signal }),
    (error) => error instanceof BackupError && !error.message.includes("hunter22"),
  );
});

Deno.test("setVariable() switches functions to the new key once, and says when nothing was set", async () => {
  for (const digests of ["sha256", "hmac-sha256-ref"] as const) {
    await using contract = startManagementContract();
    const { secrets } = contract.resources;
    secrets.digests = digests;
    secrets.secrets.set("APP_KEY", "the old key");
    const set = () =>
      setVariable(contract.api(), { name: "APP_KEY", value: new Secret("the new key"), signal });
    contract.fail("v1-bulk-create-secrets", { text: "" }); // it says yes and does nothing
    await assert.rejects(set(), withCode("restore_mismatch"));
    assert.equal((await set()).outcome, "done");
    assert.equal(secrets.secrets.get("APP_KEY"), "the new key");
    assert.equal((await set()).outcome, "already");
  }
});
