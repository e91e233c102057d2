/**
 * A project with something of everything, for tests of what a whole recovery point brings back.
 *
 * @module
 */
import { type Project, startProject } from "../../scripts/demo/start_project.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Row } from "../../supabase/functions/backup/postgres/session.ts";
import { startNetStandIn } from "./net_stand_in.ts";
import { runSql } from "./temporary_database.ts";
import { deploy, type WholeProject } from "./whole_project.ts";

/**
 * On the platform an extension of the server lets `postgres` make policies and triggers on these owners'
 * tables; here it is a member of them.
 */
const PLATFORM = `
  grant supabase_auth_admin, supabase_storage_admin, supabase_realtime_admin to postgres`;

const APPLICATION = `
  create role app_reader nologin;
  grant app_reader to authenticator;
  create schema shop;
  create extension citext with schema extensions;
  create type shop.state as enum ('new', 'paid');
  create table public.profiles (
    id uuid primary key references auth.users on delete cascade, name text, mail extensions.citext);
  alter table public.profiles enable row level security;
  create policy own on public.profiles for select to authenticated using (id = (select auth.uid()));
  create function public.handle_new_user() returns trigger language plpgsql security definer
    set search_path = '' as
    $$ begin insert into public.profiles values (new.id, 'made by the trigger', new.email); return new; end $$;
  create table shop.orders (
    id bigint generated always as identity primary key, state shop.state not null, total numeric(12, 2));
  insert into shop.orders (state, total)
    select (array['new', 'paid']::shop.state[])[1 + i % 2], i * 1.01 from generate_series(1, 500) i;
  create index orders_new on shop.orders (total) where state = 'new';
  create view shop.paid with (security_invoker) as select * from shop.orders where state = 'paid';
  create materialized view shop.totals as select state, sum(total) from shop.orders group by 1;
  create table public.flags (name text primary key, is_on boolean not null);
  insert into public.flags values ('checkout', true), ('dark', false);
  revoke all on public.flags from anon;
  grant usage on schema shop to app_reader;
  grant select on shop.orders to app_reader;
  alter default privileges in schema shop grant select on tables to app_reader;
  create publication mine for table shop.orders;
  alter publication supabase_realtime add table shop.orders, public.profiles;
  create schema supabase_migrations;
  create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text);
  insert into supabase_migrations.schema_migrations values ('20260101000000', '{"create schema shop"}', 'first');
  select cron.schedule('tidy', '0 3 * * *', 'delete from public.flags');
  select cron.schedule('asleep', '0 4 * * *', 'select 1');
  select cron.alter_job((select jobid from cron.job where jobname = 'asleep'), active := false);
  select vault.create_secret('value of stripe', 'stripe', 'for payments');
  create trigger on_auth_user_created after insert on auth.users
    for each row execute function public.handle_new_user();
  create policy "Own folder" on storage.objects for insert to authenticated
    with check (bucket_id = 'avatars' and (storage.foldername(name))[1] = (select auth.uid())::text);
  create policy "Public pictures" on storage.objects for select using (bucket_id = 'pictures');
  create policy chat on realtime.messages for select to authenticated using (true);
  insert into auth.users (id, email)
    select gen_random_uuid(), 'user' || i || '@example.org' from generate_series(1, 3) i;
  insert into auth.identities (provider_id, user_id, identity_data, provider)
    select id::text, id, '{}', 'email' from auth.users;
  insert into auth.sessions (id, user_id) select gen_random_uuid(), id from auth.users;`;

/** Rows that hang on objects of Storage by their ids. */
const ATTACHMENTS = `
  create table public.attachments (object_id uuid primary key references storage.objects (id), name text);
  insert into public.attachments select id, name from storage.objects`;

/** What a project's database has, for comparing two of them; one object of JSON. */
const FACTS = `
  select jsonb_build_object(
    'users', (select jsonb_agg(to_jsonb(u) order by email) from auth.users u),
    'identities', (select jsonb_agg(to_jsonb(i) order by id) from auth.identities i),
    'profiles', (select jsonb_agg(to_jsonb(p) order by mail) from public.profiles p),
    'orders', (select jsonb_agg(to_jsonb(o) order by id) from shop.orders o),
    'next order', (select last_value from shop.orders_id_seq),
    'totals', (select jsonb_agg(to_jsonb(t) order by state) from shop.totals t),
    'flags', (select jsonb_agg(to_jsonb(f) order by name) from public.flags f),
    'flags for anon', has_table_privilege('anon', 'public.flags', 'select'),
    'orders for app_reader', has_table_privilege('app_reader', 'shop.orders', 'select'),
    'default rights', (select jsonb_agg(defaclobjtype::text || defaclacl::text order by defaclobjtype, defaclacl::text) from pg_default_acl),
    'policies', (select jsonb_agg(to_jsonb(p) order by policyname) from pg_policies p),
    'triggers', (select jsonb_agg(pg_get_triggerdef(oid) order by tgname)
                   from pg_trigger where tgrelid = 'auth.users'::regclass and not tgisinternal),
    'published', (select jsonb_agg(to_jsonb(p) order by pubname, schemaname, tablename)
                    from pg_publication_tables p),
    'indexes', (select jsonb_agg(indexdef order by indexdef) from pg_indexes
                 where schemaname = 'shop' or tablename in ('profiles', 'flags', 'attachments')),
    'migrations', (select jsonb_agg(to_jsonb(m)) from supabase_migrations.schema_migrations m),
    'vault', (select jsonb_agg(jsonb_build_array(name, description, decrypted_secret))
                from vault.decrypted_secrets),
    'cron', (select jsonb_agg(jsonb_build_array(jobname, schedule, command, username) order by jobname)
               from cron.job),
    'buckets', (select jsonb_agg(to_jsonb(b) - '{created_at,updated_at}'::text[] order by id) from storage.buckets b),
    'objects', (select jsonb_agg(to_jsonb(o) - '{version,owner,last_accessed_at}'::text[]
                  #- '{metadata,lastModified}' order by bucket_id, name) from storage.objects o),
    'attachments', (select jsonb_agg(to_jsonb(a) order by name) from public.attachments a)
  ) as facts`;

/** A database in the platform's shape, with pg_cron, pg_net and Vault played by stand-ins. */
export async function startPlatform(): Promise<Project> {
  const project = await startProject();
  const net = await startNetStandIn(project.adminUrl);
  await runSql(project.adminUrl, PLATFORM);
  return {
    ...project,
    async [Symbol.asyncDispose]() {
      await net[Symbol.asyncDispose]();
      await project[Symbol.asyncDispose]();
    },
  };
}

/** Fills a project whose database is of that shape: five buckets, three functions, settings, secrets. */
export async function fillProject(
  { files, management }: WholeProject,
  { databaseUrl }: Project,
): Promise<void> {
  await runSql(databaseUrl, APPLICATION);
  for (const bucket of ["docs", "empty", "videos"]) await files.addBucket(bucket);
  await files.addBucket("avatars", { types: ["image/*"] });
  await files.addBucket("pictures", { public: true });
  await files.session.execute(
    "update storage.buckets set file_size_limit = 1000 where id = 'docs'",
  );
  const [user] = await files.session.query(
    "select id::text as id from auth.users order by email limit 1",
  );
  const owner = String(user?.id);
  await files.put("avatars", `${owner}/me.png`, "a picture", {
    ...{ mimetype: "image/png", cacheControl: "max-age=3600", owner },
  });
  await files.put("docs", "a b/it's (1)+$.txt", "hello", { userMetadata: { by: "me", at: [1] } });
  await files.put("docs", "nothing", "");
  await files.put("pictures", "p/1.jpg", "another picture");
  const large = new Uint8Array(7 << 20).map((_, at) => at * 31);
  await files.put("videos", "large.mp4", { bytes: large }, { mimetype: "video/mp4" });
  await runSql(databaseUrl, ATTACHMENTS);
  for (const slug of ["one", "two", "three"]) {
    await deploy(management, `export default '${slug}';`, slug);
  }
  const { config, secrets } = management.resources;
  // One section: a process has 60 requests in a minute, and restoring the whole takes nearly all of them.
  Object.assign(config.auth, {
    site_url: "https://shop.example",
    external_google_enabled: true,
    external_google_client_id: "client.apps.example",
    external_google_secret: "a".repeat(64),
  });
  secrets.secrets.set("STRIPE_KEY", "sk_live_1");
}

/** What is in its database. Not compared: open sessions, and what Storage makes anew with every upload. */
export async function factsOf({ adminUrl }: Project): Promise<Record<string, unknown>> {
  const session = await connect({ url: adminUrl });
  try {
    const [row] = await session.query<Row & { facts: Record<string, unknown> }>(FACTS);
    return row!.facts;
  } finally {
    await session.close();
  }
}
