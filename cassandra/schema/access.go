package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// CQL writes statements that make the roles again, with their passwords as hashes, what roles are members of, and what
// they may do, for a node of a release as "4.1.10". They need the schema to be there, and leave a role that exists as it
// is, but for what is granted.
//
// Permissions that no statement gives, on resources of a kind that is not known, are in it as comments.
func (a *Access) CQL(release string) (string, error) {
	w := accessWriter{hashed: takesHashes(release)}
	for _, part := range []struct {
		table string
		rows  []Row
		write func(*fields)
	}{
		{"roles", a.Roles, w.role}, {"network_permissions", a.Networks, w.network}, {"role_members", a.Members, w.member},
		{"role_permissions", a.Permissions, w.permissions}, {"identity_to_role", a.Identities, w.identity},
	} {
		var group []string
		for _, row := range part.rows {
			w.lines = nil
			f := &fields{table: part.table, row: row}
			if part.write(f); f.err != nil {
				return "", f.err
			}
			group = append(group, strings.Join(w.lines, "\n")+"\n")
		}
		slices.Sort(group)
		for _, lines := range group {
			w.text.WriteString(strings.TrimPrefix(lines, "\n"))
		}
	}
	return w.text.String(), nil
}

// takesHashes tells whether a release knows HASHED PASSWORD: 4.1 and later do, 4.0 says that it is a syntax error.
func takesHashes(release string) bool {
	release, _, _ = strings.Cut(release, "-") // 4.1-beta1
	parts := strings.SplitN(release, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, _ := strconv.Atoi(parts[0])
	minor, _ := strconv.Atoi(parts[1])
	return major > 4 || major == 4 && minor >= 1
}

// accessWriter writes one row after the other.
type accessWriter struct {
	text   strings.Builder
	lines  []string // of the row at hand
	hashed bool
}

func (w *accessWriter) add(format string, args ...any) {
	w.lines = append(w.lines, fmt.Sprintf(format, args...))
}

// role writes one role. Where the release takes no hash in a statement, its own table is written, and only where the role
// does not exist: the first superuser of a cluster stays as it is.
func (w *accessWriter) role(f *fields) {
	name, hash := f.name("role"), value[string](f, "salted_hash")
	super, login := value[bool](f, "is_superuser"), value[bool](f, "can_login")
	switch {
	case hash == "":
		w.add("CREATE ROLE IF NOT EXISTS %s WITH SUPERUSER = %t AND LOGIN = %t;", quoteName(name), super, login)
	case w.hashed:
		w.add("CREATE ROLE IF NOT EXISTS %s WITH SUPERUSER = %t AND LOGIN = %t AND HASHED PASSWORD = %s;", quoteName(name), super, login, quoteText(hash))
	default:
		w.add("INSERT INTO system_auth.roles (role, can_login, is_superuser, salted_hash) VALUES (%s, %t, %t, %s) IF NOT EXISTS;",
			quoteText(name), login, super, quoteText(hash))
	}
}

// network writes the data centres that a role may log in to, where they are not all.
func (w *accessWriter) network(f *fields) {
	name, centres := f.name("role"), value[[]string](f, "dcs")
	if len(centres) == 0 {
		return
	}
	quoted := make([]string, len(centres))
	for i, dc := range centres {
		quoted[i] = quoteText(dc)
	}
	w.add("ALTER ROLE %s WITH ACCESS TO DATACENTERS {%s};", quoteName(name), strings.Join(quoted, ", "))
}

func (w *accessWriter) member(f *fields) {
	w.add("GRANT %s TO %s;", quoteName(f.name("role")), quoteName(f.name("member")))
}

func (w *accessWriter) identity(f *fields) {
	w.add("ADD IDENTITY IF NOT EXISTS %s TO ROLE %s;", quoteText(f.name("identity")), quoteName(f.name("role")))
}

func (w *accessWriter) permissions(f *fields) {
	role, name := f.name("role"), f.name("resource")
	granted := slices.Clone(need[[]string](f, "permissions"))
	if f.err != nil {
		return
	}
	resource, err := resourceCQL(name)
	slices.SortFunc(granted, cmp.Compare[string])
	for _, p := range granted {
		switch {
		case err != nil || !plainName.MatchString(strings.ToLower(p)):
			w.add("-- role %s has the permission %s on the resource %s, which no statement gives", oneLine(role), oneLine(p), oneLine(name))
		default:
			w.add("GRANT %s ON %s TO %s;", p, resource, quoteName(role))
		}
	}
}

// oneLine keeps a name within a comment.
func oneLine(s string) string { return strconv.Quote(s) }

// resourceCQL translates the name of a resource, as data/KEYSPACE/TABLE, for GRANT.
func resourceCQL(name string) (string, error) {
	kind, rest, below := strings.Cut(name, "/")
	if below && rest == "" {
		return "", errResource
	}
	switch kind {
	case "data":
		return dataCQL(rest)
	case "roles":
		return allOr("ALL ROLES", "ROLE ", rest, quoteName), nil
	case "mbean":
		return allOr("ALL MBEANS", "MBEANS ", rest, quoteText), nil
	case "functions":
		return functionsCQL(rest)
	}
	return "", errResource
}

func allOr(all, one, name string, quote func(string) string) string {
	if name == "" {
		return all
	}
	return one + quote(name)
}

// dataCQL translates nothing, KEYSPACE, KEYSPACE/TABLE, and KEYSPACE/* for its tables only.
func dataCQL(name string) (string, error) {
	keyspace, table, below := strings.Cut(name, "/")
	switch {
	case name == "":
		return "ALL KEYSPACES", nil
	case !below:
		return "KEYSPACE " + quoteName(keyspace), nil
	case table == "*":
		return "ALL TABLES IN KEYSPACE " + quoteName(keyspace), nil
	case table == "" || strings.Contains(table, "/"):
		return "", errResource
	}
	return "TABLE " + quoteName(keyspace) + "." + quoteName(table), nil
}

// functionsCQL translates nothing, KEYSPACE, and KEYSPACE/FUNCTION[TYPE^TYPE] with the types as Java classes.
func functionsCQL(name string) (string, error) {
	keyspace, function, below := strings.Cut(name, "/")
	if name == "" {
		return "ALL FUNCTIONS", nil
	}
	if !below {
		return "ALL FUNCTIONS IN KEYSPACE " + quoteName(keyspace), nil
	}
	open := strings.LastIndexByte(function, '[')
	if open < 1 || !strings.HasSuffix(function, "]") {
		return "", errResource
	}
	var types []string
	if list := function[open+1 : len(function)-1]; list != "" {
		for _, class := range strings.Split(list, "^") {
			t, err := typeOfClass(class)
			if err != nil {
				return "", err
			}
			types = append(types, thawed(t))
		}
	}
	return fmt.Sprintf("FUNCTION %s.%s(%s)", quoteName(keyspace), quoteName(function[:open]), strings.Join(types, ", ")), nil
}
