package pgtest

import (
	"net/url"
	"strings"
)

// withDatabase replaces the database in a connection string, which is a URL or keywords and values; of several keywords
// that are equal the last one counts.
func withDatabase(conn, database string) (string, error) {
	if !strings.HasPrefix(conn, "postgres://") && !strings.HasPrefix(conn, "postgresql://") {
		return conn + " dbname=" + database, nil
	}
	u, err := url.Parse(conn)
	if err != nil {
		return "", err
	}
	u.Path = "/" + database
	return u.String(), nil
}
