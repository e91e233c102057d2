/**
 * The door of the project around the database.
 *
 * @module
 */
export { managementApi } from "./management_api.ts";
export type { ManagementApi, ManagementApiOptions } from "./management_api.ts";
