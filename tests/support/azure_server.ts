/**
 * An Azure Blob Storage of its own for a test: Azurite, in memory.
 *
 * @module
 */
import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import Configuration from "azurite/blob/configuration";
import Server from "azurite/blob/server";

/** A running server; every `container()` makes a new empty one. */
export interface AzureServer {
  /** Address of the account's blobs. */
  endpoint: string;
  account: string;
  key: string;
  service: BlobServiceClient;
  container(): Promise<string>;
  close(): Promise<void>;
}

/** The account that every Azurite has; its key is in Azurite's documentation. */
const ACCOUNT = "devstoreaccount1";
const KEY =
  "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/** Starts a server on a free port of this machine. */
export async function startAzureServer(): Promise<AzureServer> {
  const server = new Server.default(Object.assign(new Configuration.default(), {
    host: "127.0.0.1",
    port: 0,
    isMemoryPersistence: true,
    enableAccessLog: false,
    enableDebugLog: false,
    // The client asks for a newer version than the server knows of.
    skipApiVersionCheck: true,
    loose: true,
    disableProductStyleUrl: true,
  }));
  await server.start();
  const endpoint = `${server.getHttpServerAddress()}/${ACCOUNT}`;
  const credential = new StorageSharedKeyCredential(ACCOUNT, KEY);
  const service = new BlobServiceClient(endpoint, credential, { retryOptions: { maxTries: 1 } });
  let count = 0;
  return {
    endpoint,
    account: ACCOUNT,
    key: KEY,
    service,
    async container() {
      const name = `backups-${++count}`;
      await service.createContainer(name);
      return name;
    },
    async close() {
      await server.close();
      await server.clean();
    },
  };
}
