/**
 * The door of the project around the database.
 *
 * @module
 */
export { managementApi } from "./management_api.ts";
export type { ManagementApi, ManagementApiOptions } from "./management_api.ts";
export { configSource } from "./config_source.ts";
export type { ConfigSourceOptions } from "./config_source.ts";
export { configTarget } from "./config_target.ts";
export type { ConfigTargetOptions } from "./config_target.ts";
export { filesSource } from "./files_source.ts";
export type { FilesSourceOptions } from "./files_source.ts";
export { filesTarget } from "./files_target.ts";
export type { FilesTargetOptions } from "./files_target.ts";
export { StorageApi } from "./storage_api.ts";
export type { StorageApiOptions } from "./storage_request.ts";
