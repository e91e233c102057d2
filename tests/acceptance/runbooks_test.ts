import assert from "node:assert/strict";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { type Block, blocksOf, type Page, readPage } from "../support/markdown.ts";
import { type Ran, type Reader, runBlocks } from "../support/run_page.ts";
import { temporaryFolder } from "../support/deployment.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";
import {
  ask,
  deploy,
  startWholeProject,
  tell,
  type WholeProject,
} from "../support/whole_project.ts";

/** A shop that the pages are about, all of it backed up. */
interface Shop extends AsyncDisposable {
  project: WholeProject;
  session: Session;
  /** Ids of the backups before each page, by type. */
  backups: Record<string, string>;
  /** Lines of a shell that ran: pages share some, and once is enough. */
  ran: Set<string>;
}

const TYPES = ["database", "files", "function", "config", "secrets"];

async function openShop(): Promise<Shop> {
  const project = await startWholeProject();
  const { session } = project.files;
  await session.execute(`
    create schema shop;
    create table shop.orders (
      id integer generated always as identity primary key,
      customer text not null,
      total numeric(10, 2) not null);
    insert into shop.orders (customer, total)
    select 'customer ' || i, i from generate_series(1, 200) i;`);
  await project.files.addBucket("avatars");
  await project.files.put("avatars", "a.png", "one");
  await deploy(project.management, "export default 'good';");
  assert.equal((await tell(project, "init")).status, 200);
  const backups = Object.fromEntries(
    await Promise.all(TYPES.map(async (type) => {
      const { status, body } = await tell(project, `backup-${type}&wait=60`);
      assert.equal(status, 200, JSON.stringify(body));
      return [type, body.data.jobId as string];
    })),
  );
  return {
    ...{ project, session, backups, ran: new Set() },
    [Symbol.asyncDispose]: () => project[Symbol.asyncDispose](),
  };
}

/** What somebody exports who has read the page before. */
function environmentOf({ project }: Shop, more: Record<string, string> = {}) {
  return {
    URL: project.service.url,
    KEY: project.files.key,
    REPOSITORY: `file://${project.folder}`,
    BACKUP_ENCRYPTION_KEY: project.encryptionKey,
    ...more,
  };
}

/** Blocks of a page that are marked with `run`, and with this mark or none. */
async function runnable(name: string, mark?: string): Promise<Block[]> {
  const blocks = blocksOf(await readPage(`docs/${name}.md`));
  return blocks.filter(({ marks: [run, place] }) => run === "run" && place === mark);
}

/** Runs those of a page's blocks that did not run yet and looks at each job that an answer tells of. */
async function follow(shop: Shop, blocks: Block[], more: Partial<Reader> = {}): Promise<Ran[]> {
  const fresh = blocks.filter(({ language, lines }) => language === "sql" || !shop.ran.has(lines));
  for (const { lines } of fresh) shop.ran.add(lines);
  const values = Object.fromEntries(
    Object.entries({ ...shop.backups, backup: shop.backups.database! }).map(([name, id]) =>
      [`<${name}>`, id] as const
    ),
  );
  const { session } = shop;
  const reader = { environment: environmentOf(shop), session, values, ...more };
  const ran = await runBlocks(fresh, reader);
  for (const answer of ran.flatMap(({ answers }) => answers)) {
    if (typeof answer.status !== "string") continue;
    assert.ok(["completed", "success"].includes(answer.status), JSON.stringify(answer));
  }
  return ran;
}

const ALL = [{ count: "200", sum: "20100.00" }];

const orders = (session: Session) => session.query("select count(*), sum(total) from shop.orders");

Deno.test("the commands of the operator's guide and the runbooks do what they say", async (test) => {
  await using shop = await openShop();
  const { project, session, backups } = shop;

  await test.step("operators-guide.md makes it recoverable", async () => {
    await using folder = await temporaryFolder({ "backup.key": `${project.encryptionKey}\n` });
    await follow(shop, await runnable("operators-guide"), { folder: folder.path });
    const { body } = await tell(project, "init");
    const done = body.data.steps.filter((step: { done: boolean }) => step.done);
    const names = done.map((step: { step: string }) => step.step);
    for (const step of ["key-saved", "first-backup", "first-restore-test"]) {
      assert.ok(names.includes(step), step);
    }
  });

  await test.step("restore-drill.md leaves everything as it is and records its tests", async () => {
    const ran = await follow(shop, (await runnable("runbooks/restore-drill")).filter(needsNoOther));
    assert.equal(ran.at(-1)!.rows[0]!.success, true);
    assert.deepEqual(await orders(session), ALL);
  });

  await test.step("database-corruption.md brings back an emptied database", async () => {
    await session.execute("drop schema shop cascade");
    await follow(shop, await runnable("runbooks/database-corruption"));
    assert.deepEqual(await orders(session), ALL);
  });

  await test.step("accidental-deletion.md brings back rows, a table, objects, a function, a setting", async () => {
    const blocks = await runnable("runbooks/accidental-deletion");
    const part = (heading: string) => partOf(blocks, heading);
    await session.execute(`delete from shop.orders where id > 150;
      insert into shop.orders (customer, total) values ('newer', 1)`);
    await follow(shop, [...part("action=jobs"), ...part("before_deletion")]);
    assert.deepEqual(await orders(session), [{ count: "201", sum: "20101.00" }]);

    await session.execute("drop table shop.orders");
    await follow(shop, part('"tables": ["shop.orders"], "dryRun"'));
    assert.deepEqual(await orders(session), ALL);

    await forgetObject(project, "a.png");
    const { config, functions } = project.management.resources;
    functions.functions.clear();
    config.auth.site_url = "https://other.example";
    await using fresh = anew(shop);
    await follow(fresh, [...part('"files"'), ...part('"function"'), ...part('"config"')]);
    const objects = await session.query("select name from storage.objects");
    assert.deepEqual(objects, [{ name: "a.png" }]);
    assert.deepEqual([...functions.functions.keys()], ["hello"]);
    assert.notEqual(config.auth.site_url, "https://other.example");
  });

  await test.step("data-loss.md finds what is gone, and puts the whole database back", async () => {
    await session.execute(
      "delete from shop.orders where id % 2 = 0; update shop.orders set total = 0 where id = 1",
    );
    const ran = await follow(shop, await runnable("runbooks/data-loss"));
    const compared = ran.find(({ block }) => block.lines.includes("'gone'"))!.rows;
    assert.deepEqual(compared, [
      { what: "gone", count: "100" },
      { what: "new", count: "0" },
      { what: "changed", count: "1" },
    ]);
    assert.deepEqual(await orders(session), ALL);
  });

  await test.step("bad-migration.md takes a migration back", async () => {
    const [before, ...after] = await runnable("runbooks/bad-migration");
    const [{ answers }] = await follow(shop, [before!]) as [Ran];
    await session.execute("alter table shop.orders drop column total, add column amount integer");
    await deploy(project.management, "export default 'bad';");
    await using fresh = anew(shop);
    await follow({ ...fresh, backups: { ...backups, database: answers[0].jobId } }, after);
    assert.deepEqual(await orders(session), ALL);
  });

  await test.step("application-crash.md finds and takes back functions and settings", async () => {
    const { config, functions } = project.management.resources;
    const { site_url: before } = config.auth;
    config.auth.site_url = "https://crashed.example";
    functions.functions.clear();
    // One process asks the Management API sixty times a minute and no more.
    for (const block of await runnable("runbooks/application-crash")) {
      await using fresh = anew(shop);
      await follow(fresh, [block]);
    }
    assert.equal(config.auth.site_url, before);
    assert.deepEqual([...functions.functions.keys()], ["hello"]);
    assert.deepEqual(await orders(session), ALL);
  });

  await test.step("security-breach.md keeps evidence and rotates what it names", async () => {
    const { secrets } = project.management.resources;
    const keys = JSON.stringify(secrets.keys);
    const [evidence, ...rest] = await runnable("runbooks/security-breach");
    await using first = anew(shop);
    const [{ answers }] = await follow(first, [evidence!]) as [Ran];
    for (const { jobId } of answers[0].jobs) await ended(project, jobId);
    await using fresh = anew(shop);
    await follow(fresh, rest.slice(0, 1));
    await using fresher = anew(shop);
    await follow(fresher, rest.slice(1));
    assert.notEqual(JSON.stringify(secrets.keys), keys);
    assert.equal(secrets.legacy, false);
  });

  await test.step("complete-failure.md and platform-outage.md restore without the service", async () => {
    await using other = await temporaryDatabase("runbooks");
    await using folder = await temporaryFolder();
    const elsewhere = await connect({ url: other.url });
    const environment = environmentOf(shop, {
      NEW_DATABASE_URL: other.url,
      FOLDER: folder.path,
    });
    try {
      for (const page of ["complete-failure", "platform-outage", "restore-drill"]) {
        await follow(shop, await runnable(`runbooks/${page}`), { environment });
        const sql = await runnable(`runbooks/${page}`, "new-database");
        const [told] = await follow(shop, sql, { session: elsewhere });
        assert.deepEqual(told!.rows, ALL, page);
      }
      const files = (await Array.fromAsync(Deno.readDir(folder.path))).map(({ name }) => name);
      assert.deepEqual(files.sort(), ["database.sql", "orders.ndjson"]);
    } finally {
      await elsewhere.close();
    }
  });

  await test.step("the recovery sheet in the storage says how to restore from there", async () => {
    const sheet = await recoverySheet(project.folder);
    assert.ok(sheet.text.includes(`export REPOSITORY='file://${project.folder}'`), sheet.text);
    await using other = await temporaryDatabase("runbooks_sheet");
    const blocks = blocksOf(sheet).filter(({ marks: [run] }) => run === "run");
    await follow(shop, blocks, {
      environment: environmentOf(shop, { NEW_DATABASE_URL: other.url }),
    });
    const elsewhere = await connect({ url: other.url });
    assert.deepEqual(await orders(elsewhere).finally(() => elsewhere.close()), ALL);
  });

  await test.step("complete-failure.md brings all of it into a new project", async () => {
    await using next = await startWholeProject();
    const environment = {
      ...next.variables,
      BACKUP_STORAGE_PATH: project.folder,
      BACKUP_ENCRYPTION_KEY: project.encryptionKey,
    };
    await follow(shop, await runnable("runbooks/complete-failure", "new-project"), { environment });
    assert.deepEqual(await orders(next.files.session), ALL);
    const objects = await next.files.session.query("select name from storage.objects");
    assert.deepEqual(objects, [{ name: "a.png" }]);
    assert.deepEqual([...next.management.resources.functions.functions.keys()], ["hello"]);
  });
});

/** The same with another process, which has its own share of requests to the Management API in a minute. */
function anew(shop: Shop): Shop {
  const project = shop.project.again();
  return { ...shop, project, [Symbol.asyncDispose]: () => project[Symbol.asyncDispose]() };
}

/** The page that the service has left in the storage. */
async function recoverySheet(folder: string): Promise<Page> {
  const entries = await Array.fromAsync(Deno.readDir(`${folder}/recovery`));
  const path = `${folder}/recovery/${
    entries.find(({ name }) => name.startsWith("restore-"))!.name
  }`;
  return { path, text: await Deno.readTextFile(path) };
}

/** Deletes an object of the bucket as an application does. */
async function forgetObject({ files }: WholeProject, name: string): Promise<void> {
  const response = await fetch(`${files.url}/object/avatars`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${files.key}`, "content-type": "application/json" },
    body: JSON.stringify({ prefixes: [name] }),
  });
  assert.equal(response.status, 200, await response.text());
}

/** Asks after a job until it has ended. */
async function ended(project: WholeProject, jobId: string): Promise<void> {
  for (;;) {
    const { body } = await ask(project, `job&jobId=${jobId}`);
    if (body.data.completedAt !== null) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Blocks in which a text stands. */
function partOf(blocks: Block[], text: string): Block[] {
  const found = blocks.filter(({ lines }) => lines.includes(text));
  assert.ok(found.length > 0, text);
  return found;
}

/** Whether a block is about the project alone. */
function needsNoOther({ lines }: Block): boolean {
  return !lines.includes("$NEW_DATABASE_URL");
}
