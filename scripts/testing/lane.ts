/**
 * A lane of test processes, one after the other, on database servers that all of them share.
 *
 * @module
 */
import { type EmbeddedPostgres, type PostgresMajor, startPostgres } from "../embedded_postgres.ts";

const MAJORS: PostgresMajor[] = [15, 16, 17, 18];

/** Servers of one lane; disposing stops them and leaves their folder. */
export interface Lane extends AsyncDisposable {
  /** Where tests find them. */
  env: Record<string, string>;
}

/** Starts a server of every version that the environment does not name already. */
export async function openLane(folder: string): Promise<Lane> {
  const wanted = MAJORS.filter((major) => !Deno.env.get(variableOf(major)));
  const servers = await Promise.all(wanted.map((major) =>
    startPostgres({
      major,
      dataDirectory: `${folder}/pg${major}`,
      // Prepared transactions as in tests/support/servers.ts; and old WAL goes early, for it may lie in memory.
      settings: { max_prepared_transactions: "10", max_wal_size: "128MB" },
    })
  ));
  const variable = (server: EmbeddedPostgres) => [variableOf(server.major), server.url()] as const;
  return {
    env: Object.fromEntries(servers.map(variable)),
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

function variableOf(major: PostgresMajor): string {
  return `TEST_POSTGRES_${major}_URL`;
}
