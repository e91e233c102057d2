/**
 * The service's migrations beside the Supabase CLI: who uses it, who does not, and who has a history of
 * migrations that is not ours.
 *
 * @module
 */
import assert from "node:assert/strict";
import { startService } from "../../scripts/start_service.ts";
import { MIGRATIONS } from "../../supabase/functions/backup/state/migrations.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { checkOut, temporaryFolder } from "../support/deployment.ts";
import { startManagementContract } from "../support/management_contract.ts";
import { call, KEYS, post } from "../support/service.ts";
import { findSupabaseCli } from "../support/supabase_cli.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const cli = await findSupabaseCli();
const missing = "missing" in cli ? cli.missing : null;
const leftOut = missing === null ? "" : ` (left out: ${missing})`;

const OURS = MIGRATIONS.map(({ version }) => version);

/** A project of somebody else, with migrations before and after ours. */
const THEIRS: Record<string, string> = {
  "supabase/config.toml": 'project_id = "theirs"\n',
  "supabase/migrations/20200101000000_shop.sql": "create table public.shop (id bigint);\n",
  "supabase/migrations/20990101000000_later.sql": "alter table public.shop add name text;\n",
};

/** A database of a project, the service on it, and the CLI's ways to it. */
async function openPlace() {
  const database = await temporaryDatabase("d_migrations");
  const contract = startManagementContract();
  const session = await connect({ url: database.url });
  const service = startService({
    SUPABASE_DB_URL: database.url,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEYS.secret }),
  });
  const remote = `${database.url}?sslmode=disable`;
  return {
    async run(folder: string, ...args: string[]): Promise<string> {
      if ("missing" in cli) throw new Error(cli.missing);
      const { stdout, stderr } = await cli.run([...args, "--yes"], { contract, folder, remote });
      return stdout + stderr;
    },
    /** What `init` says of the tables. */
    async init(): Promise<string> {
      const { body } = await post(service, "init");
      const tables = body.data.steps.find(({ step }: { step: string }) => step === "tables");
      assert.equal(tables.done, true, tables.found);
      assert.equal((await call(service, "jobs")).status, 200);
      return tables.found;
    },
    /** Versions that the CLI holds for applied. */
    async history(): Promise<string[]> {
      const rows = await session.query(
        "select version from supabase_migrations.schema_migrations order by 1",
      );
      return rows.map(({ version }) => String(version));
    },
    async [Symbol.asyncDispose]() {
      await service.stop();
      await session.close();
      await contract.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

Deno.test({
  name: `tables that the CLI pushed are found by init, and those of init by the CLI${leftOut}`,
  ignore: missing !== null,
  async fn() {
    await using checkout = await checkOut();
    await using pushed = await openPlace();
    await pushed.run(checkout.path, "db", "push");
    assert.deepEqual(await pushed.history(), OURS);
    assert.equal(await pushed.init(), `there: ${OURS.join(", ")}`);

    await using initialized = await openPlace();
    assert.equal(await initialized.init(), `made: ${OURS.join(", ")}`);
    await initialized.run(checkout.path, "db", "push");
    assert.deepEqual(await initialized.history(), OURS);
    assert.equal(await initialized.init(), `there: ${OURS.join(", ")}`);
  },
});

Deno.test({
  name: `init leaves a project's own migrations alone, and they may take ours in later${leftOut}`,
  ignore: missing !== null,
  async fn() {
    await using theirs = await temporaryFolder({ ...THEIRS });
    await using checkout = await checkOut();
    await using place = await openPlace();
    await place.run(theirs.path, "db", "push");
    // From a checkout of the service nothing goes over a history that it does not know.
    await assert.rejects(place.run(checkout.path, "db", "push"), /20200101000000/);
    await place.init();
    const own = ["20200101000000", "20990101000000"];
    assert.deepEqual(await place.history(), own);

    const next = "21000101000000";
    const migrations = `${theirs.path}/supabase/migrations`;
    await Deno.writeTextFile(`${migrations}/${next}_more.sql`, "create table public.more ();\n");
    await place.run(theirs.path, "db", "push");
    assert.deepEqual(await place.history(), [...own, next]);

    for (const { version, name, sql } of MIGRATIONS) {
      await Deno.writeTextFile(`${migrations}/${version}_${name}.sql`, sql);
    }
    // They lie before what is applied already.
    await assert.rejects(place.run(theirs.path, "db", "push"), /--include-all/);
    await place.run(theirs.path, "db", "push", "--include-all");
    assert.deepEqual(await place.history(), [...own, ...OURS, next].sort());
    assert.equal(await place.init(), `there: ${OURS.join(", ")}`);
  },
});
