package grants_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary-go/ostiary/grants"
)

// A client is connected since the user's first live grant, and was used on the day when it got its last token.
func TestConnectedTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := grants.New(openStore(t), quiet)
		connected := func() grants.Connected {
			t.Helper()
			apps, err := m.Connected(t.Context(), "alice")
			if err != nil || len(apps) != 1 {
				t.Fatalf("got %v, %v", apps, err)
			}
			return apps[0]
		}
		day := func() time.Time { return time.Now().UTC().Truncate(24 * time.Hour) }

		time.Sleep(5 * time.Hour)
		first := time.Now()
		pair := issue(t, m, grants.Issue{Client: "app", User: "alice"})
		if got := connected(); !got.Since.Equal(first) || !got.Used.Equal(day()) || got.Grants != 1 {
			t.Errorf("got %+v", got)
		}
		time.Sleep(3 * 24 * time.Hour)
		again := issue(t, m, grants.Issue{Client: "app", User: "alice"})
		if got := connected(); !got.Since.Equal(first) || !got.Used.Equal(day()) || got.Grants != 2 {
			t.Errorf("a second grant: got %+v", got)
		}
		if err := m.RemoveRefreshToken(t.Context(), again.GetRefresh()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * 24 * time.Hour)
		if _, err := m.Token(context.Background(), &grants.Request{GrantType: "refresh_token", ClientID: "app", ClientSecret: "app-secret", RefreshToken: pair.GetRefresh()}); err != nil {
			t.Fatal(err)
		}
		if got := connected(); !got.Since.Equal(first) || !got.Used.Equal(day()) || got.Grants != 1 {
			t.Errorf("refreshed: got %+v", got)
		}
	})
}
