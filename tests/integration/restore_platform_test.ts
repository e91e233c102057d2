/**
 * Restores of a Supabase project: over itself as its owner, and into a plain PostgreSQL.
 *
 * @module
 */
import assert from "node:assert/strict";
import { startProject } from "../../scripts/demo/start_project.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Row } from "../../supabase/functions/backup/postgres/session.ts";
import { backupInMemory } from "../support/memory_backup.ts";
import { restoreBackup } from "../support/restore_backup.ts";

const USER = "11111111-1111-1111-1111-111111111111";

const APPLICATION = `
  create table public.profiles (
    id uuid primary key references auth.users on delete cascade, name text);
  alter table public.profiles enable row level security;
  create policy own on public.profiles using (id = auth.uid());
  create function public.welcome() returns trigger language plpgsql security definer as
    $$ begin insert into public.profiles values (new.id, 'made by the trigger'); return new; end $$;
  revoke all on public.profiles from anon;
`;

const ROWS = `
  create trigger welcome after insert on auth.users for each row execute function public.welcome();
  create policy mine on storage.objects using (owner = auth.uid());
  insert into auth.users (id, email) values ('${USER}', 'a@example.org');
  update public.profiles set name = 'changed by hand';
  insert into auth.identities (provider_id, user_id, identity_data, provider)
    values ('a', '${USER}', '{}', 'email');
  insert into auth.sessions (id, user_id) values (gen_random_uuid(), '${USER}');
  insert into storage.buckets (id, name) values ('b', 'b');
  insert into storage.objects (bucket_id, name) values ('b', 'x/y.txt');
  insert into storage.buckets_vectors (id) values ('kept by the platform');
`;

async function run(url: string, sql: string): Promise<Row[]> {
  const session = await connect({ url });
  try {
    if (/^\s*select/i.test(sql)) return await session.query(sql);
    await session.execute(sql);
    return [];
  } finally {
    await session.close();
  }
}

const COUNTS = `
  select (select count(*)::int from auth.users) as users,
         (select string_agg(name, ',') from public.profiles) as profiles,
         (select count(*)::int from auth.sessions) as sessions,
         (select count(*)::int from storage.objects) as objects,
         (select count(*)::int from pg_trigger where tgname = 'welcome') as triggers,
         (select count(*)::int from pg_policy where polname in ('own', 'mine')) as policies,
         has_table_privilege('anon', 'public.profiles', 'SELECT') as anon_reads`;

Deno.test("a Supabase project is restored over itself by its owner, and into a plain PostgreSQL", async () => {
  await using project = await startProject();
  await run(project.databaseUrl, APPLICATION);
  await run(project.adminUrl, ROWS);
  const backup = await backupInMemory(project.databaseUrl, { profile: "supabase" });

  // Who can sign in, and what hangs on that: as a plan restores it alone.
  await run(project.adminUrl, "delete from auth.users");
  const tables = ["auth.users", "auth.identities", "public.profiles"];
  const lost = await restoreBackup(backup, project.databaseUrl, { tables, onlyLost: true });
  assert.deepEqual([lost.leftOut, lost.rowsLoaded], [[], 3]);
  const saved = {
    ...{ users: 1, profiles: "changed by hand", sessions: 0, objects: 1, triggers: 1, policies: 2 },
    anon_reads: false,
  };
  assert.deepEqual((await run(project.adminUrl, COUNTS))[0], saved);

  await run(
    project.adminUrl,
    `set session_replication_role = replica; set storage.allow_delete_query = 'true';
     delete from auth.users; delete from public.profiles; delete from storage.objects;
     grant select on public.profiles to anon`,
  );
  const over = await restoreBackup(backup, project.databaseUrl);
  assert.equal(over.plan.target, "supabase");
  assert.deepEqual((await run(project.adminUrl, COUNTS))[0], saved);
  const reasons = over.leftOut.map((each) => `${each.identity}: ${each.reason}`).join("\n");
  assert.match(reasons, /"auth"\."sessions": open logins .* only with includeAuthSessions/);
  assert.match(reasons, /"storage"\."buckets_vectors": .* the restoring role may not write to it/);
  assert.doesNotMatch(reasons, /buckets_analytics/);

  await run(project.adminUrl, "create database plain");
  const plain = new URL(project.adminUrl);
  plain.pathname = "/plain";
  const empty = await restoreBackup(backup, plain.href, { includeAuthSessions: true });
  assert.deepEqual([empty.plan.mode, empty.plan.target], ["empty", "plain"]);
  assert.deepEqual((await run(plain.href, COUNTS))[0], { ...saved, sessions: 1 });
  const [uid] = await run(
    plain.href,
    `select set_config('request.jwt.claim.sub', '${USER}', false), auth.uid()::text as uid`,
  );
  assert.equal(uid?.uid, USER);
});
