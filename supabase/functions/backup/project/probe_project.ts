/**
 * Whether the Management API lets this token see the project at all.
 *
 * @module
 */
import { z } from "zod";
import { type BackupError, toBackupError } from "../core/errors.ts";
import type { ManagementApi } from "./management_api.ts";

/**
 * Asks once, so that a token that is no good is told of once and not for each of twenty sections. A token
 * that may not see the project itself may still see sections of it: that is no refusal here.
 *
 * @returns the refusal of the token, or null
 * @throws `management_unavailable`, and whatever else says nothing of the token
 */
export async function probeProject(
  api: ManagementApi,
  signal: AbortSignal,
): Promise<BackupError | null> {
  try {
    await api.get("/v1/projects/{ref}", {
      to: "see the state",
      permission: "project_admin_read",
      answer: z.object({ ref: z.string() }),
      signal,
    });
    return null;
  } catch (error) {
    const failure = toBackupError(error);
    if (failure.code === "management_unauthorized") return failure;
    if (failure.code === "management_not_found") return failure;
    if (failure.code === "management_forbidden") return null;
    throw error;
  }
}
