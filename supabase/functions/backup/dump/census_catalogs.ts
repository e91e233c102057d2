/**
 * Every catalog of PostgreSQL 15 to 18 and every column of it: what a backup does with it.
 *
 * Longer than 200 lines because the list is the point: a catalog or column that is not here belongs
 * to a server this release does not know, and fails the backup by name.
 *
 * @module
 */

/** What becomes of the columns of one catalog; names separated by spaces. */
export interface CatalogCensus {
  /** Written into entries: a change of the value changes the backup. */
  saved: string;
  /** Follows from what is saved, or names rows within this one server. */
  derived?: string;
  /** Left out on purpose, by reason. */
  ignored?: Readonly<Record<string, string>>;
}

/** The census by catalog name. */
export const CATALOGS: Readonly<Record<string, CatalogCensus>> = {
  pg_aggregate: {
    saved: "aggfnoid aggkind aggnumdirectargs aggtransfn aggfinalfn aggcombinefn aggserialfn " +
      "aggdeserialfn aggmtransfn aggminvtransfn aggmfinalfn aggfinalextra aggmfinalextra " +
      "aggfinalmodify aggmfinalmodify aggsortop aggtranstype aggtransspace aggmtranstype " +
      "aggmtransspace agginitval aggminitval",
  },
  pg_am: { saved: "amname amhandler amtype", derived: "oid" },
  pg_amop: {
    saved: "amopfamily amoplefttype amoprighttype amopstrategy amoppurpose amopopr amopsortfamily",
    derived: "oid amopmethod",
  },
  pg_amproc: {
    saved: "amprocfamily amproclefttype amprocrighttype amprocnum amproc",
    derived: "oid",
  },
  pg_attrdef: { saved: "adrelid adnum adbin", derived: "oid" },
  pg_attribute: {
    saved: "attrelid attname atttypid attstattarget atttypmod attstorage attcompression " +
      "attnotnull attidentity attgenerated attislocal attcollation attacl attoptions " +
      "attfdwoptions",
    derived:
      "attnum attlen attinhcount attndims attbyval attalign atthasdef atthasmissing attmissingval",
    ignored: {
      "a cache of the server": "attcacheoff",
      "dropped columns are not made again": "attisdropped",
    },
  },
  pg_auth_members: {
    saved: "roleid member grantor admin_option inherit_option set_option",
    derived: "oid",
  },
  pg_authid: {
    saved: "rolname rolsuper rolinherit rolcreaterole rolcreatedb rolcanlogin rolreplication " +
      "rolbypassrls rolconnlimit rolvaliduntil",
    derived: "oid",
    ignored: { "passwords are never read": "rolpassword" },
  },
  pg_cast: { saved: "castsource casttarget castfunc castcontext castmethod", derived: "oid" },
  pg_class: {
    saved: "relname relnamespace reloftype relowner relam reltablespace relpersistence relkind " +
      "relrowsecurity relforcerowsecurity relispopulated relreplident relispartition relacl " +
      "reloptions relpartbound",
    derived: "oid reltype relnatts relchecks relhasindex relhasrules relhastriggers " +
      "relhassubclass reltoastrelid relisshared",
    ignored: {
      "where and how the server stores the rows": "relfilenode relrewrite relfrozenxid relminmxid",
      "estimates, made again by ANALYZE and VACUUM":
        "relpages reltuples relallvisible relallfrozen",
    },
  },
  pg_collation: {
    saved: "collname collnamespace collowner collprovider collisdeterministic " +
      "collcollate collctype colliculocale collicurules colllocale",
    derived: "oid collencoding",
    ignored: { "the version of the target's own library counts": "collversion" },
  },
  pg_constraint: {
    saved: "conname contype condeferrable condeferred convalidated conrelid contypid " +
      "confrelid confupdtype confdeltype confmatchtype conislocal " +
      "connoinherit conkey confkey confdelsetcols conexclop conbin conenforced conperiod",
    derived: "oid connamespace conindid coninhcount conparentid conpfeqop conppeqop conffeqop",
  },
  pg_conversion: {
    saved: "conname connamespace conowner conforencoding contoencoding conproc condefault",
    derived: "oid",
  },
  pg_database: {
    saved:
      "datname datdba encoding datlocprovider datistemplate datconnlimit datcollate datctype " +
      "datcollversion datacl",
    derived: "oid dathasloginevt",
    ignored: {
      "a database that is read allows connections": "datallowconn",
      "where and how the server stores the rows": "datfrozenxid datminmxid dattablespace",
      "encoding and locale are chosen when the target is made":
        "daticulocale datlocale daticurules",
    },
  },
  pg_db_role_setting: { saved: "setdatabase setrole setconfig" },
  pg_default_acl: {
    saved: "defaclrole defaclnamespace defaclobjtype defaclacl",
    derived: "oid",
  },
  pg_depend: {
    saved: "deptype",
    derived: "classid objid objsubid refclassid refobjid refobjsubid",
  },
  pg_description: { saved: "objoid classoid objsubid description" },
  pg_enum: { saved: "enumtypid enumsortorder enumlabel", derived: "oid" },
  pg_event_trigger: {
    saved: "evtname evtevent evtowner evtfoid evtenabled evttags",
    derived: "oid",
  },
  pg_extension: {
    saved: "extname extnamespace extrelocatable extversion extconfig extcondition",
    derived: "oid",
    ignored: { "whoever runs CREATE EXTENSION owns it, and nothing changes that": "extowner" },
  },
  pg_foreign_data_wrapper: {
    saved: "fdwname fdwowner fdwhandler fdwvalidator fdwacl fdwoptions",
    derived: "oid",
  },
  pg_foreign_server: {
    saved: "srvname srvowner srvfdw srvtype srvversion srvacl srvoptions",
    derived: "oid",
  },
  pg_foreign_table: { saved: "ftrelid ftserver ftoptions" },
  pg_index: {
    saved: "indexrelid indrelid indisunique indnullsnotdistinct indisprimary indisexclusion " +
      "indisclustered indisreplident indkey indcollation indclass indoption " +
      "indexprs indpred",
    derived: "indnatts indnkeyatts indimmediate",
    ignored: {
      "an index that is not valid is not made again": "indisvalid",
      "the state of building an index": "indcheckxmin indisready indislive",
    },
  },
  pg_inherits: {
    saved: "inhrelid inhparent inhseqno",
    ignored: { "a detach that was broken off is not repeated": "inhdetachpending" },
  },
  pg_init_privs: { saved: "objoid classoid objsubid initprivs", derived: "privtype" },
  pg_language: {
    saved: "lanname lanowner lanpltrusted lanplcallfoid laninline lanvalidator lanacl",
    derived: "oid lanispl",
  },
  pg_largeobject: { saved: "loid pageno data" },
  pg_largeobject_metadata: { saved: "oid lomowner lomacl" },
  pg_namespace: { saved: "nspname nspowner nspacl", derived: "oid" },
  pg_opclass: {
    saved: "opcmethod opcname opcnamespace opcowner opcfamily opcintype opcdefault opckeytype",
    derived: "oid",
  },
  pg_operator: {
    saved: "oprname oprnamespace oprowner oprcanmerge oprcanhash oprleft oprright oprcom " +
      "oprnegate oprcode oprrest oprjoin",
    derived: "oid oprkind oprresult",
  },
  pg_opfamily: { saved: "opfmethod opfname opfnamespace opfowner", derived: "oid" },
  pg_parameter_acl: { saved: "parname paracl", derived: "oid" },
  pg_partitioned_table: {
    saved: "partrelid partstrat partattrs partclass partcollation partexprs",
    derived: "partnatts partdefid",
  },
  pg_policy: {
    saved: "polname polrelid polcmd polpermissive polroles polqual polwithcheck",
    derived: "oid",
  },
  pg_proc: {
    saved: "proname pronamespace proowner prolang procost prorows provariadic prosupport prokind " +
      "prosecdef proleakproof proisstrict proretset provolatile proparallel prorettype " +
      "proargtypes proallargtypes proargmodes proargnames proargdefaults protrftypes prosrc " +
      "probin prosqlbody proconfig proacl",
    derived: "oid pronargs pronargdefaults",
  },
  pg_publication: {
    saved: "pubname pubowner puballtables pubinsert pubupdate pubdelete pubtruncate pubviaroot " +
      "pubgencols",
    derived: "oid",
  },
  pg_publication_namespace: { saved: "pnpubid pnnspid", derived: "oid" },
  pg_publication_rel: { saved: "prpubid prrelid prqual prattrs", derived: "oid" },
  pg_range: {
    saved: "rngtypid rngsubtype rngmultitypid rngcollation rngsubopc rngcanonical rngsubdiff",
  },
  pg_replication_origin: {
    saved: "",
    ignored: { "the progress of a replication ends with its server": "roident roname" },
  },
  pg_rewrite: {
    saved: "rulename ev_class ev_type ev_enabled is_instead ev_qual ev_action",
    derived: "oid",
  },
  pg_seclabel: { saved: "objoid classoid objsubid provider label" },
  pg_sequence: {
    saved: "seqrelid seqtypid seqstart seqincrement seqmax seqmin seqcache seqcycle",
  },
  pg_shdepend: {
    saved: "",
    derived: "dbid classid objid objsubid refclassid refobjid deptype",
  },
  pg_shdescription: { saved: "objoid classoid description" },
  pg_shseclabel: { saved: "objoid classoid provider label" },
  pg_statistic: {
    saved: "",
    ignored: {
      "statistics are made again by ANALYZE":
        "starelid staattnum stainherit stanullfrac stawidth stadistinct stakind1 stakind2 " +
        "stakind3 stakind4 stakind5 staop1 staop2 staop3 staop4 staop5 stacoll1 stacoll2 " +
        "stacoll3 stacoll4 stacoll5 stanumbers1 stanumbers2 stanumbers3 stanumbers4 " +
        "stanumbers5 stavalues1 stavalues2 stavalues3 stavalues4 stavalues5",
    },
  },
  pg_statistic_ext: {
    saved: "stxrelid stxname stxnamespace stxowner stxstattarget stxkeys stxkind stxexprs",
    derived: "oid",
  },
  pg_statistic_ext_data: {
    saved: "",
    ignored: {
      "statistics are made again by ANALYZE":
        "stxoid stxdinherit stxdndistinct stxddependencies stxdmcv stxdexpr",
    },
  },
  pg_subscription: {
    saved: "subname subowner subbinary substream subtwophasestate subdisableonerr subconninfo " +
      "subslotname subsynccommit subpublications subpasswordrequired subrunasowner suborigin " +
      "subfailover",
    derived: "oid subdbid",
    ignored: {
      "subscriptions come back disabled": "subenabled",
      "a place in another server's log means nothing later": "subskiplsn",
    },
  },
  pg_subscription_rel: {
    saved: "",
    ignored: {
      "the progress of a replication ends with its server": "srsubid srrelid srsubstate srsublsn",
    },
  },
  pg_tablespace: { saved: "spcname spcowner spcacl spcoptions", derived: "oid" },
  pg_transform: { saved: "trftype trflang trffromsql trftosql", derived: "oid" },
  pg_trigger: {
    saved: "tgrelid tgname tgfoid tgtype tgenabled tgconstrrelid tgdeferrable tginitdeferred " +
      "tgattr tgargs tgqual tgoldtable tgnewtable",
    derived: "oid tgparentid tgisinternal tgconstrindid tgconstraint tgnargs",
  },
  pg_ts_config: { saved: "cfgname cfgnamespace cfgowner cfgparser", derived: "oid" },
  pg_ts_config_map: { saved: "mapcfg maptokentype mapseqno mapdict" },
  pg_ts_dict: {
    saved: "dictname dictnamespace dictowner dicttemplate dictinitoption",
    derived: "oid",
  },
  pg_ts_parser: {
    saved: "prsname prsnamespace prsstart prstoken prsend prsheadline prslextype",
    derived: "oid",
  },
  pg_ts_template: { saved: "tmplname tmplnamespace tmplinit tmpllexize", derived: "oid" },
  pg_type: {
    saved: "typname typnamespace typowner typlen typbyval typtype typcategory typispreferred " +
      "typisdefined typdelim typsubscript typelem typinput typoutput typreceive typsend typmodin " +
      "typmodout typanalyze typalign typstorage typnotnull typbasetype typtypmod typndims " +
      "typcollation typdefault typacl",
    derived: "oid typrelid typarray typdefaultbin",
  },
  pg_user_mapping: { saved: "umuser umserver umoptions", derived: "oid" },
};

/** All columns of a catalog that the census knows. */
export function knownColumns(catalog: CatalogCensus): Set<string> {
  const lists = [catalog.saved, catalog.derived ?? "", ...Object.values(catalog.ignored ?? {})];
  return new Set(lists.flatMap((list) => list.split(" ")).filter((name) => name !== ""));
}
