/**
 * Changes of types, routines, operators, casts, collations and text search.
 *
 * @module
 */
import { type MutationList, updates } from "./mutation_list.ts";

const NAMED = (column: string, name: string) => `${column} = '${name}'`;
const ROUTINE = (name: string) => `oid = 's.${name}'::regprocedure`;

/** Types and routines. */
export const TYPES_AND_ROUTINES: MutationList = {
  setup: `
    create schema s;
    create schema s2;
    create type s.mood as enum ('a', 'b');
    create type s.mood2 as enum ('x', 'y');
    create domain s.dom as numeric(10, 2) default 1 not null check (value > 0);
    create domain s.dom2 as int;
    create domain s.dom_text as text;
    create domain s.dom_array as int[];
    create type s.base;
    create function s.base_in(cstring) returns s.base language internal immutable strict as 'int4in';
    create function s.base_out(s.base) returns cstring language internal immutable strict as 'int4out';
    create function s.base_in2(cstring) returns s.base language internal immutable strict as 'int4in';
    create function s.base_out2(s.base) returns cstring language internal immutable strict as 'int4out';
    create type s.base (input = s.base_in, output = s.base_out, internallength = 4, passedbyvalue,
      alignment = int4, default = '1');
    create type s.wide;
    create function s.wide_in(cstring) returns s.wide language internal immutable strict as 'textin';
    create function s.wide_out(s.wide) returns cstring language internal immutable strict as 'textout';
    create type s.wide (input = s.wide_in, output = s.wide_out);
    create type s.shell;
    create type s.rng as range (subtype = text, collation = "C");
    create function s.difference(text, text) returns float8 language sql immutable as 'select 1.0::float8';
    create function s.canonical(s.rng) returns s.rng language internal immutable strict as 'int4range_canonical';
    create function s.fn(a int) returns int language plpgsql as 'begin return 1; end';
    create function s.rows(a int) returns setof int language sql as 'select 1';
    create function s.later(a int) returns int language sql as 'select 1';
    create function s.compiled(a int) returns int language c as '$libdir/plpgsql', 'plpgsql_call_handler';
    create aggregate s.ag (int) (sfunc = int4pl, stype = int4, initcond = '0', finalfunc = int4abs,
      msfunc = int4pl, minvfunc = int4mi, mstype = int4, mfinalfunc = int4abs, minitcond = '0');
    create aggregate s.wide_ag (int8) (sfunc = int8_avg_accum, stype = internal,
      finalfunc = numeric_poly_avg, combinefunc = int8_avg_combine,
      serialfunc = int8_avg_serialize, deserialfunc = int8_avg_deserialize);
    create aggregate s.ordered (float8 order by anyelement) (sfunc = ordered_set_transition,
      stype = internal, finalfunc = percentile_disc_final, finalfunc_extra);
    create function s.same(int, int) returns bool language sql immutable as 'select true';
    create function s.same2(int, int) returns bool language sql immutable as 'select true';
    create function s.compare(int, int) returns int language sql immutable as 'select 1';
    create operator s.#^# (leftarg = int, rightarg = int, function = s.same);
    create operator s.#& (leftarg = int, rightarg = int, function = s.same);
    create operator family s.loose using btree;
    alter operator family s.loose using btree add operator 1 < (int4, int4),
      function 1 (int4, int4) btint4cmp(int4, int4);
    create operator family s.loose2 using btree;
    create operator family s.distances using gist;
    alter operator family s.distances using gist
      add operator 15 <-> (point, point) for order by pg_catalog.float_ops;
    create operator class s.cls for type int4 using btree family s.loose as operator 3 =;
    create operator class s.cls_mood for type s.mood2 using btree family s.loose
      as operator 5 > (int4, int4);
    create access method am type index handler bthandler;
    create function s.cast_function(s.mood) returns text language sql as 'select ''x''';
    create function s.cast_function2(s.mood) returns text language sql as 'select ''y''';
    create cast (s.mood as text) with function s.cast_function(s.mood);
    create function s.from_sql(internal) returns internal language internal immutable as 'textin';
    create function s.from_sql2(internal) returns internal language internal immutable as 'textin';
    create function s.to_sql(internal) returns s.mood language internal immutable as 'textin';
    create function s.to_sql2(internal) returns s.mood language internal immutable as 'textin';
    create transform for s.mood language plpgsql (from sql with function s.from_sql(internal),
      to sql with function s.to_sql(internal));
    create collation s.icu (provider = icu, locale = 'und');
    create collation s.libc (provider = libc, lc_collate = 'C', lc_ctype = 'C');
    create conversion s.cv for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
    create text search parser s.prs (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end,
      lextypes = prsd_lextype, headline = prsd_headline);
    create text search template s.tmpl (init = dsimple_init, lexize = dsimple_lexize);
    create text search dictionary s.dict (template = s.tmpl, accept = false);
    create text search configuration s.cfg (parser = "default");
    alter text search configuration s.cfg add mapping for word with s.dict, pg_catalog.simple;
    create text search configuration s.cfg2 (parser = "default");`,
  changes: {
    "pg_aggregate.aggfnoid": "create aggregate s.ag2 (int) (sfunc = int4pl, stype = int4)",
    ...updates("pg_aggregate", "aggfnoid = 's.ag(int4)'::regprocedure", {
      aggkind: "'o'",
      aggtransfn: "'int4mul'::regproc",
      aggfinalfn: "'int4um'::regproc",
      aggmtransfn: "'int4mul'::regproc",
      aggminvtransfn: "'int4mul'::regproc",
      aggmfinalfn: "'int4um'::regproc",
      aggfinalextra: "true",
      aggmfinalextra: "true",
      aggfinalmodify: "'s'",
      aggmfinalmodify: "'s'",
      aggsortop: "'<(int4,int4)'::regoperator",
      aggtranstype: "'int8'::regtype",
      aggtransspace: "7",
      aggmtranstype: "'int8'::regtype",
      aggmtransspace: "7",
      agginitval: "'1'",
      aggminitval: "'1'",
    }),
    ...updates("pg_aggregate", "aggfnoid = 's.wide_ag(int8)'::regprocedure", {
      aggcombinefn: "'numeric_poly_combine'::regproc",
      aggserialfn: "'numeric_poly_serialize'::regproc",
      aggdeserialfn: "'numeric_poly_deserialize'::regproc",
    }),
    ...updates("pg_aggregate", "aggfnoid = 's.ordered(float8,anyelement)'::regprocedure", {
      aggnumdirectargs: "0",
    }),
    ...updates("pg_am", NAMED("amname", "am"), {
      amname: "'am2'",
      amhandler: "'hashhandler'::regproc",
    }),
    "pg_am.amtype":
      "drop access method am; create access method am type table handler heap_tableam_handler",
    "pg_amop.amopfamily":
      "alter operator family s.loose using btree drop operator 1 (int4, int4); alter operator family s.loose2 using btree add operator 1 < (int4, int4)",
    "pg_amop.amoplefttype":
      "alter operator family s.loose using btree drop operator 1 (int4, int4); alter operator family s.loose using btree add operator 1 < (int8, int4)",
    "pg_amop.amoprighttype":
      "alter operator family s.loose using btree drop operator 1 (int4, int4); alter operator family s.loose using btree add operator 1 < (int4, int8)",
    "pg_amop.amopstrategy":
      "alter operator family s.loose using btree drop operator 1 (int4, int4); alter operator family s.loose using btree add operator 2 < (int4, int4)",
    "pg_amop.amopopr":
      "alter operator family s.loose using btree drop operator 1 (int4, int4); alter operator family s.loose using btree add operator 1 <= (int4, int4)",
    ...updates(
      "pg_amop",
      "amopfamily = (select oid from pg_opfamily where opfname = 'distances')",
      {
        amoppurpose: "'s', amopsortfamily = 0",
        amopsortfamily:
          "(select oid from pg_opfamily where opfname = 'integer_ops' and opfmethod = 403)",
      },
    ),
    "pg_amproc.amprocfamily":
      "alter operator family s.loose using btree drop function 1 (int4, int4); alter operator family s.loose2 using btree add function 1 (int4, int4) btint4cmp(int4, int4)",
    "pg_amproc.amproclefttype":
      "alter operator family s.loose using btree add function 1 (int8, int4) btint84cmp(int8, int4)",
    "pg_amproc.amprocrighttype":
      "alter operator family s.loose using btree add function 1 (int4, int8) btint48cmp(int4, int8)",
    "pg_amproc.amprocnum":
      "alter operator family s.loose using btree add function 2 (int4, int4) btint4sortsupport(internal)",
    "pg_amproc.amproc":
      "alter operator family s.loose using btree drop function 1 (int4, int4); alter operator family s.loose using btree add function 1 (int4, int4) s.compare(int4, int4)",
    ...updates("pg_cast", "castsource = 's.mood'::regtype", {
      castsource: "'s.mood2'::regtype",
      casttarget: "'varchar'::regtype",
      castfunc: "'s.cast_function2(s.mood)'::regprocedure",
      castcontext: "'i'",
      castmethod: "'i', castfunc = 0",
    }),
    "pg_collation.collname": "alter collation s.icu rename to icu2",
    "pg_collation.collnamespace": "alter collation s.icu set schema s2",
    "pg_collation.collowner": "alter collation s.icu owner to mutation_role",
    "pg_collation.collprovider":
      "drop collation s.icu; create collation s.icu (provider = libc, locale = 'C')",
    ...updates("pg_collation", NAMED("collname", "icu"), {
      collisdeterministic: "false",
      colliculocale: "'de'",
      colllocale: "'de'",
      collicurules: "'&a < b'",
    }),
    ...updates("pg_collation", NAMED("collname", "libc"), {
      collcollate: "'POSIX'",
      collctype: "'POSIX'",
    }),
    "pg_conversion.conname": "alter conversion s.cv rename to cv2",
    "pg_conversion.connamespace": "alter conversion s.cv set schema s2",
    "pg_conversion.conowner": "alter conversion s.cv owner to mutation_role",
    ...updates("pg_conversion", NAMED("conname", "cv"), {
      conforencoding: "9",
      contoencoding: "9",
      conproc: "'iso8859_to_utf8'::regproc",
      condefault: "true",
    }),
    ...updates("pg_enum", "enumlabel = 'a'", {
      enumtypid: "'s.mood2'::regtype, enumsortorder = 9",
      enumsortorder: "9",
      enumlabel: "'changed'",
    }),
    "pg_opclass.opcname": "alter operator class s.cls using btree rename to cls2",
    "pg_opclass.opcnamespace": "alter operator class s.cls using btree set schema s2",
    "pg_opclass.opcowner": "alter operator class s.cls using btree owner to mutation_role",
    ...updates("pg_opclass", NAMED("opcname", "cls"), {
      opcmethod: "(select oid from pg_am where amname = 'hash')",
      opcfamily: "(select oid from pg_opfamily where opfname = 'loose2')",
      opcintype: "'int8'::regtype",
      opckeytype: "'int8'::regtype",
    }),
    ...updates("pg_opclass", NAMED("opcname", "cls_mood"), { opcdefault: "true" }),
    "pg_operator.oprnamespace": "alter operator s.#^# (int, int) set schema s2",
    "pg_operator.oprowner": "alter operator s.#^# (int, int) owner to mutation_role",
    ...updates("pg_operator", NAMED("oprname", "#^#"), {
      oprname: "'###'",
      oprcanmerge: "true",
      oprcanhash: "true",
      oprleft: "'int8'::regtype",
      oprright: "'int8'::regtype",
      oprcom: "'s.#&(int,int)'::regoperator",
      oprnegate: "'s.#&(int,int)'::regoperator",
      oprcode: "'s.same2(int,int)'::regprocedure",
      oprrest: "'eqsel'::regproc",
      oprjoin: "'eqjoinsel'::regproc",
    }),
    ...updates("pg_opfamily", NAMED("opfname", "loose2"), {
      opfmethod: "(select oid from pg_am where amname = 'hash')",
    }),
    "pg_opfamily.opfname": "alter operator family s.loose2 using btree rename to loose3",
    "pg_opfamily.opfnamespace": "alter operator family s.loose2 using btree set schema s2",
    "pg_opfamily.opfowner": "alter operator family s.loose2 using btree owner to mutation_role",
    "pg_proc.proname": "alter function s.fn(int) rename to fn2",
    "pg_proc.pronamespace": "alter function s.fn(int) set schema s2",
    "pg_proc.proowner": "alter function s.fn(int) owner to mutation_role",
    ...updates("pg_proc", ROUTINE("fn(int)"), {
      prolang: "(select oid from pg_language where lanname = 'sql')",
      procost: "7",
      prosupport: "'generate_series_int4_support'::regproc",
      prosecdef: "true",
      proleakproof: "true",
      proisstrict: "true",
      proretset: "true",
      provolatile: "'i'",
      proparallel: "'s'",
      prorettype: "'int8'::regtype",
      proargtypes: "'20'",
      proargnames: "'{other}'",
      protrftypes: "array['s.mood'::regtype::oid]",
      prosrc: "'other'",
    }),
    ...updates("pg_proc", ROUTINE("rows(int)"), { prorows: "7" }),
    ...updates("pg_proc", ROUTINE("compiled(int)"), { probin: "'$libdir/other'" }),
    "pg_proc.prokind":
      "drop function s.later(int); create procedure s.later(a int) language sql as 'select 1'",
    "pg_proc.provariadic":
      "drop function s.later(int); create function s.later(variadic a int[]) returns int language sql as 'select 1'",
    "pg_proc.proallargtypes":
      "drop function s.later(int); create function s.later(a int, out b int) returns int language sql as 'select 1'",
    "pg_proc.proargmodes":
      "drop function s.later(int); create function s.later(inout a int) returns int language sql as 'select 1'",
    "pg_proc.proargdefaults":
      "create or replace function s.later(a int default 7) returns int language sql as 'select 1'",
    "pg_proc.prosqlbody":
      "create or replace function s.later(a int) returns int language sql begin atomic select 1; end",
    "pg_proc.proconfig": "alter function s.fn(int) set work_mem = '1MB'",
    "pg_proc.proacl": "grant execute on function s.fn(int) to mutation_role",
    "pg_range.rngtypid": "create type s.rng2 as range (subtype = text)",
    ...updates("pg_range", "rngtypid = 's.rng'::regtype", {
      rngsubtype: "'varchar'::regtype",
      rngcollation: `'"POSIX"'::regcollation`,
      rngsubopc:
        "(select oid from pg_opclass where opcname = 'text_pattern_ops' and opcmethod = 403)",
      rngcanonical: "'s.canonical(s.rng)'::regprocedure",
      rngsubdiff: "'s.difference(text,text)'::regprocedure",
    }),
    "pg_range.rngmultitypid": "alter type s.rng_multirange rename to rng_many",
    ...updates("pg_transform", "true", {
      trftype: "'s.mood2'::regtype",
      trflang: "(select oid from pg_language where lanname = 'sql')",
      trffromsql: "'s.from_sql2(internal)'::regprocedure",
      trftosql: "'s.to_sql2(internal)'::regprocedure",
    }),
    "pg_ts_config.cfgname": "alter text search configuration s.cfg rename to cfg3",
    "pg_ts_config.cfgnamespace": "alter text search configuration s.cfg set schema s2",
    "pg_ts_config.cfgowner": "alter text search configuration s.cfg owner to mutation_role",
    ...updates("pg_ts_config", NAMED("cfgname", "cfg2"), {
      cfgparser: "(select oid from pg_ts_parser where prsname = 'prs')",
    }),
    ...updates("pg_ts_config_map", "mapcfg = 's.cfg'::regconfig and mapseqno = 1", {
      mapcfg: "'s.cfg2'::regconfig",
      maptokentype: "3",
      mapseqno: "9",
      mapdict: "'english_stem'::regdictionary",
    }),
    "pg_ts_dict.dictname": "alter text search dictionary s.dict rename to dict2",
    "pg_ts_dict.dictnamespace": "alter text search dictionary s.dict set schema s2",
    "pg_ts_dict.dictowner": "alter text search dictionary s.dict owner to mutation_role",
    "pg_ts_dict.dictinitoption": "alter text search dictionary s.dict (accept = true)",
    ...updates("pg_ts_dict", NAMED("dictname", "dict"), {
      dicttemplate: "(select oid from pg_ts_template where tmplname = 'simple')",
    }),
    "pg_ts_parser.prsnamespace": "alter text search parser s.prs set schema s2",
    ...updates("pg_ts_parser", NAMED("prsname", "prs"), {
      prsname: "'prs2'",
      prsstart: "'prsd_end'::regproc",
      prstoken: "'prsd_end'::regproc",
      prsend: "'prsd_start'::regproc",
      prsheadline: "0",
      prslextype: "'prsd_end'::regproc",
    }),
    "pg_ts_template.tmplnamespace": "alter text search template s.tmpl set schema s2",
    ...updates("pg_ts_template", NAMED("tmplname", "tmpl"), {
      tmplname: "'tmpl2'",
      tmplinit: "0",
      tmpllexize: "'dsynonym_lexize'::regproc",
    }),
    "pg_type.typname": "alter type s.mood rename to mood3",
    "pg_type.typnamespace": "alter type s.mood set schema s2",
    "pg_type.typowner": "alter type s.mood owner to mutation_role",
    "pg_type.typnotnull": "alter domain s.dom drop not null",
    "pg_type.typacl": "grant usage on type s.mood to mutation_role",
    "pg_type.typtype": "drop domain s.dom_array; create type s.dom_array as enum ()",
    "pg_type.typisdefined":
      "create function s.shell_in(cstring) returns s.shell language internal immutable strict as 'int4in'; create function s.shell_out(s.shell) returns cstring language internal immutable strict as 'int4out'; create type s.shell (input = s.shell_in, output = s.shell_out, like = int4)",
    ...updates("pg_type", "oid = 's.base'::regtype", {
      typlen: "2",
      typbyval: "false",
      typcategory: "'N'",
      typispreferred: "true",
      typdelim: "';'",
      typsubscript: "'raw_array_subscript_handler'::regproc",
      typelem: "'int2'::regtype",
      typinput: "'s.base_in2(cstring)'::regprocedure",
      typoutput: "'s.base_out2(s.base)'::regprocedure",
      typreceive: "'int4recv'::regproc",
      typsend: "'int4send'::regproc",
      typmodin: "'varchartypmodin'::regproc",
      typmodout: "'varchartypmodout'::regproc",
      typanalyze: "'array_typanalyze'::regproc",
      typalign: "'d'",
      typdefault: "'2'",
    }),
    ...updates("pg_type", "oid = 's.wide'::regtype", { typstorage: "'x'" }),
    ...updates("pg_type", "oid = 's.dom'::regtype", {
      typtypmod: "-1",
    }),
    ...updates("pg_type", "oid = 's.dom2'::regtype", { typbasetype: "'int8'::regtype" }),
    ...updates("pg_type", "oid = 's.dom_text'::regtype", { typcollation: `'"C"'::regcollation` }),
  },
  unchangeable: {
    "pg_type.typndims": "the server takes any number of dimensions for the same array type",
  },
};
