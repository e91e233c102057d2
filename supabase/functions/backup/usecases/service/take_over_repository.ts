/**
 * Makes the service's database the owner of a repository that another one wrote to: for a project that was
 * lost, has come back elsewhere, and goes on with the backups that it had.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { readSourceFacts } from "../../dump/mod.ts";
import type { Repository, RepositoryOwner } from "../../repository/mod.ts";
import { connector, databaseUrl } from "../database_access.ts";
import type { Caller, Deps } from "../deps.ts";
import { recordAudit } from "../jobs/record_audit.ts";

/**
 * @param from name of the present owner, so that nobody takes over what he did not mean: the project's ref,
 * or the system identifier outside Supabase
 * @returns in words, whose it is now
 * @throws `invalid_request` when the repository is not that one's
 */
export async function takeOverRepository(
  deps: Deps,
  caller: Caller,
  { repository, from }: { repository: Repository; from: string },
): Promise<string> {
  const owner = await requireOwner(repository, from);
  const session = await connector(databaseUrl(deps))();
  try {
    const { systemIdentifier, database } = await readSourceFacts(session, { profile: "plain" });
    const { projectRef } = deps.environment;
    await repository.claimOwner({ projectRef, systemIdentifier, database }, { takeOver: true });
    await recordAudit(deps, caller, {
      ...{ action: "init", subject: repository.location, outcome: "completed" },
      details: { repositoryTakenOverFrom: owner },
    });
    return `taken over from ${from} for the database ${database}`;
  } finally {
    await session.close();
  }
}

/** Its owner, if it is the one that was said. @throws `invalid_request` */
export async function requireOwner(
  repository: Repository,
  from: string,
): Promise<RepositoryOwner> {
  const owner = await repository.owner();
  if (owner === null || (from !== owner.projectRef && from !== owner.systemIdentifier)) {
    const whose = owner === null ? "nobody's yet" : "another one's";
    throw new BackupError(
      "invalid_request",
      `Cannot take the repository over from ${from}: it is ${whose}`,
      { hint: "The error repository_foreign names its owner." },
    );
  }
  return owner;
}
