/**
 * Proves to the server who enters, and checks what can be checked of the server.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { BackupError } from "../core/errors.ts";
import { DatabaseError, parseErrorFields } from "./database_error.ts";
import { frame, readInt32, writeInt32 } from "./protocol.ts";
import { ScramExchange } from "./scram.ts";
import { decodeLoosely } from "./text_codec.ts";
import { garbage, type Message, type Wire } from "./wire.ts";

const encoder = new TextEncoder();
const OK = 0;
const CLEARTEXT = 3;
const MD5 = 5;
const SASL = 10;
const SASL_CONTINUE = 11;
const SASL_FINAL = 12;

/** Who enters. */
export interface Credentials {
  user: string;
  password: string | undefined;
}

/**
 * Answers the server's requests until it says that the user is in.
 *
 * @throws {DatabaseError} when the server refuses
 * @throws {BackupError} `database_unreachable` when a password is needed and none is known
 */
export async function authenticate(wire: Wire, credentials: Credentials): Promise<void> {
  let scram: ScramExchange | undefined;
  let verified = false;
  while (true) {
    const { type, body } = await readAuthentication(wire);
    if (type !== "R" || body.length < 4) throw wire.fail(garbage("no request to authenticate"));
    const payload = body.slice(4);
    switch (readInt32(body, 0)) {
      case OK:
        if (scram !== undefined && !verified) {
          throw wire.fail(garbage("an end of authentication without its proof"));
        }
        return;
      case CLEARTEXT:
        await wire.write(frame("p", encoder.encode(`${passwordOf(credentials)}\0`)));
        break;
      case MD5:
        await wire.write(frame("p", encoder.encode(`${md5Answer(credentials, payload)}\0`)));
        break;
      case SASL: {
        if (!decodeLoosely(payload).split("\0").includes("SCRAM-SHA-256")) {
          throw wire.fail(unknownMethod("a SASL mechanism other than SCRAM-SHA-256"));
        }
        scram = new ScramExchange(passwordOf(credentials));
        const first = encoder.encode(scram.first());
        const length = new Uint8Array(4);
        writeInt32(length, 0, first.length);
        await wire.write(frame("p", encoder.encode("SCRAM-SHA-256\0"), length, first));
        break;
      }
      case SASL_CONTINUE: {
        if (scram === undefined) throw wire.fail(garbage("an answer to no question"));
        const final = await scram.final(decodeLoosely(payload));
        await wire.write(frame("p", encoder.encode(final)));
        break;
      }
      case SASL_FINAL:
        if (scram === undefined) throw wire.fail(garbage("an answer to no question"));
        scram.verify(decodeLoosely(payload));
        verified = true;
        break;
      default:
        throw wire.fail(unknownMethod(`method ${readInt32(body, 0)}`));
    }
  }
}

async function readAuthentication(wire: Wire): Promise<Message> {
  while (true) {
    const message = await wire.read();
    if (message.type === "N") continue;
    if (message.type !== "E") return message;
    const facts = parseErrorFields(message.body, decodeLoosely);
    throw wire.fail(new DatabaseError("enter the database", facts, "database_unreachable"));
  }
}

function passwordOf(credentials: Credentials): string {
  if (credentials.password !== undefined && credentials.password !== "") {
    return credentials.password;
  }
  throw new BackupError(
    "database_unreachable",
    `Cannot enter the database as ${credentials.user}: the server asks for a password`,
    { hint: "Put the password into the database URL." },
  );
}

function md5Answer(credentials: Credentials, salt: Uint8Array): string {
  const inner = md5(encoder.encode(passwordOf(credentials) + credentials.user));
  return `md5${md5(encoder.encode(inner), salt)}`;
}

function md5(...parts: Uint8Array[]): string {
  const hash = createHash("md5");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

function unknownMethod(what: string): BackupError {
  return new BackupError(
    "database_unreachable",
    `Cannot enter the database: the server asks for ${what}`,
    { hint: "Allow scram-sha-256, md5 or password for this user in pg_hba.conf." },
  );
}
