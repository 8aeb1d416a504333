package node_test

import "strings"

// richKeyspaces are the keyspaces of the rich schema.
var richKeyspaces = []string{"Rich", "systematics"}

// richSchema is a schema with all that the release's tables of a schema can hold. Each entry begins with the releases it
// is for: the first that has it, or the first and the last.
var richSchema = []struct{ from, to, cql string }{
	{"3", "", `CREATE KEYSPACE "Rich" WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 1} AND durable_writes = false`},
	{"3", "", `CREATE KEYSPACE systematics WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`},
	{"3", "", `CREATE TYPE "Rich".zip (code int, "Land" text)`},
	{"3", "", `CREATE TYPE "Rich"."Place" (street text, at frozen<zip>, near frozen<list<tuple<int, zip>>>)`},
	{"3", "", `CREATE TYPE "Rich".address (home frozen<"Place">, others map<text, frozen<"Place">>, v int)`},
	{"3", "", `CREATE TABLE "Rich"."Everything" (
		k1 int, "K 2" text, c1 timestamp, "select" text, s int static, ss set<text> static,
		a ascii, b blob, "From" decimal, d date, f float, i inet, l list<int>, m map<text, frozen<list<int>>>, n varint,
		t tuple<int, text>, u timeuuid, v varchar, w duration, x smallint, y tinyint, z time,
		p "Place", fp frozen<"Place">, ad frozen<map<int, address>>, cu 'org.apache.cassandra.db.marshal.LongType', "default" int,
		PRIMARY KEY ((k1, "K 2"), c1, "select")) WITH CLUSTERING ORDER BY (c1 DESC, "select" ASC)
		AND comment = 'it''s a "comment" with $$ and ; in it' AND gc_grace_seconds = 3600 AND default_time_to_live = 86400
		AND compaction = {'class': 'LeveledCompactionStrategy', 'sstable_size_in_mb': 100}
		AND compression = {'class': 'DeflateCompressor', 'chunk_length_in_kb': 32}
		AND caching = {'keys': 'NONE', 'rows_per_partition': '10'} AND bloom_filter_fp_chance = 0.0002
		AND min_index_interval = 64 AND max_index_interval = 1024 AND memtable_flush_period_in_ms = 60000 AND crc_check_chance = 0.5
		AND speculative_retry = '50ms'`},
	{"3", "3", `ALTER TABLE "Rich"."Everything" WITH read_repair_chance = 0.25 AND dclocal_read_repair_chance = 0.125`},
	{"4", "", `ALTER TABLE "Rich"."Everything" WITH read_repair = 'NONE' AND additional_write_policy = '90p'`},
	{"5", "", `ALTER TABLE "Rich"."Everything" WITH memtable = 'default' AND allow_auto_snapshot = false AND incremental_backups = false`},
	{"3", "", `ALTER TABLE "Rich"."Everything" WITH extensions = {'note': 0xcafe}`},
	{"3", "", `CREATE TABLE "Rich".plain (id int PRIMARY KEY, mail text, age int, tags set<text>, props map<text, text>, frozenlist frozen<list<int>>)
		WITH compression = {'enabled': false}`},
	{"3", "", `CREATE INDEX by_mail ON "Rich".plain (mail)`},
	{"3", "", `CREATE INDEX "ByTag" ON "Rich".plain (tags)`},
	{"3", "", `CREATE INDEX by_keys ON "Rich".plain (keys(props))`},
	{"3", "", `CREATE INDEX by_entries ON "Rich".plain (entries(props))`},
	{"3", "", `CREATE INDEX by_full ON "Rich".plain (full(frozenlist))`},
	{"3", "", `CREATE CUSTOM INDEX by_age ON "Rich".plain (age) USING 'org.apache.cassandra.index.sasi.SASIIndex' WITH OPTIONS = {'mode': 'SPARSE'}`},
	{"3", "", `CREATE INDEX by_from ON "Rich"."Everything" ("From")`},
	{"3", "", `CREATE INDEX by_static ON "Rich"."Everything" (s)`},
	{"5", "", `CREATE TABLE "Rich".sai (id int PRIMARY KEY, mail text, v vector<float, 3>, vt vector<text, 2>)`},
	{"5", "", `CREATE INDEX sai_mail ON "Rich".sai (mail) USING 'sai' WITH OPTIONS = {'case_sensitive': 'false'}`},
	{"5", "", `CREATE CUSTOM INDEX sai_v ON "Rich".sai (v) USING 'StorageAttachedIndex' WITH OPTIONS = {'similarity_function': 'DOT_PRODUCT'}`},
	{"5", "", `CREATE TABLE "Rich".masked (id int, c int, mail text MASKED WITH DEFAULT, "N" int static MASKED WITH mask_replace(0),
		tel text MASKED WITH mask_inner(1, null), t text MASKED WITH mask_replace('x y'), PRIMARY KEY (id, c))`},
	{"3", "", `CREATE TABLE "Rich".counted (id int, c int, n counter, s counter static, PRIMARY KEY (id, c))`},
	{"3", "", `CREATE TABLE "Rich".dropped (id int, c int, gone int, goneset set<text>, goneplace frozen<"Place">, gonestatic text static, again int, kept text, PRIMARY KEY (id, c))`},
	{"3", "", `ALTER TABLE "Rich".dropped DROP gone`},
	{"3", "", `ALTER TABLE "Rich".dropped DROP goneset`},
	{"3", "", `ALTER TABLE "Rich".dropped DROP goneplace`},
	{"3", "", `ALTER TABLE "Rich".dropped DROP gonestatic`},
	{"3", "", `ALTER TABLE "Rich".dropped DROP again`},
	{"3", "", `ALTER TABLE "Rich".dropped ADD again int`},
	{"3", "", `CREATE TABLE "Rich".narrow (id int PRIMARY KEY, "Gone" text)`},
	{"3", "", `ALTER TABLE "Rich".narrow DROP "Gone" USING TIMESTAMP 1700000000123000`},
	{"3", "", `CREATE TABLE "Rich".compact_static (k text PRIMARY KEY, a int, b text) WITH COMPACT STORAGE`},
	{"3", "", `CREATE TABLE "Rich".compact_dense (k text, c1 int, c2 int, v text, PRIMARY KEY (k, c1, c2)) WITH COMPACT STORAGE AND CLUSTERING ORDER BY (c1 DESC, c2 ASC)`},
	{"3", "", `CREATE TABLE "Rich".compact_one (k text, c int, v text, PRIMARY KEY (k, c)) WITH COMPACT STORAGE`},
	{"3", "", `CREATE TABLE "Rich".compact_keys (k text, c int, PRIMARY KEY (k, c)) WITH COMPACT STORAGE`},
	{"3", "", `CREATE TABLE "Rich".compact_was (k text PRIMARY KEY, a int, b text) WITH COMPACT STORAGE`},
	{"3", "", `ALTER TABLE "Rich".compact_was DROP COMPACT STORAGE`},
	// The server of a 3.11 compiles functions with a driver that its jars leave out.
	{"4", "", `CREATE FUNCTION "Rich".plus (a int, "B" int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return a == null ? null : a + (B == null ? 0 : B); /* it''s; $$ */'`},
	{"4", "", `CREATE FUNCTION "Rich".plus (a bigint, b map<text, int>) RETURNS NULL ON NULL INPUT RETURNS bigint LANGUAGE java AS $$ return a; // ';' $$`},
	{"4", "", `CREATE FUNCTION "Rich"."Of" (a "Place") RETURNS NULL ON NULL INPUT RETURNS text LANGUAGE java AS $$ return a.getString("street"); $$`},
	{"4", "", `CREATE FUNCTION "Rich".half (a int) RETURNS NULL ON NULL INPUT RETURNS double LANGUAGE java AS 'return a / 2.0;'`},
	{"4", "", `CREATE FUNCTION "Rich".fold (s tuple<int, text>, v int) CALLED ON NULL INPUT RETURNS tuple<int, text> LANGUAGE java AS 'return s;'`},
	{"4", "", `CREATE AGGREGATE "Rich".total (int) SFUNC plus STYPE int FINALFUNC half INITCOND 7`},
	{"4", "", `CREATE AGGREGATE "Rich"."Pair" (int) SFUNC fold STYPE tuple<int, text> INITCOND (1, 'x')`},
	{"4", "", `CREATE AGGREGATE "Rich".bare (int) SFUNC plus STYPE int`},
	{"3", "", `CREATE TABLE "Rich"."Base" (id int, c int, "Mail" text, n int, l list<int>, PRIMARY KEY (id, c))`},
	{"3", "", `CREATE MATERIALIZED VIEW "Rich".mails AS SELECT id, c, "Mail" FROM "Rich"."Base"
		WHERE "Mail" IS NOT NULL AND id IS NOT NULL AND c IS NOT NULL PRIMARY KEY (("Mail"), c, id) WITH CLUSTERING ORDER BY (c DESC, id ASC) AND comment = 'mails'`},
	{"3", "", `CREATE MATERIALIZED VIEW "Rich"."All" AS SELECT * FROM "Rich"."Base"
		WHERE n IS NOT NULL AND id > 3 AND c > 1 PRIMARY KEY ((n, id), c)`},
	{"3", "", `CREATE TRIGGER "Watch" ON "Rich"."Base" USING 'audit.Audit'`},
	{"3", "", `CREATE TABLE systematics.peers_x (id int PRIMARY KEY)`},
}

// richFor are the statements of the rich schema for a release.
func richFor(version string) []string {
	var all []string
	for _, s := range richSchema {
		major := strings.SplitN(version, ".", 2)[0]
		if major >= s.from && (s.to == "" || major <= s.to) {
			all = append(all, s.cql)
		}
	}
	return all
}

// richYAML switches on what a rich schema needs.
func richYAML(version string) []string {
	if version < "4.1" {
		return []string{"enable_user_defined_functions: true", "enable_sasi_indexes: true", "enable_drop_compact_storage: true"}
	}
	all := []string{"user_defined_functions_enabled: true", "sasi_indexes_enabled: true", "drop_compact_storage_enabled: true"}
	if version >= "5" {
		all = append(all, "dynamic_data_masking_enabled: true")
	}
	return all
}
