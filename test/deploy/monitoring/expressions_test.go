/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package monitoring

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	certutil "k8s.io/client-go/util/cert"

	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// patience is how long to wait for what should take milliseconds.
const patience = 30 * time.Second

var env *testenv.Environment

func TestMain(m *testing.M) { testenv.Main(m, &env) }

// targetLabels are those that Prometheus adds to what it reads, as the Prometheus operator sets it
// up.
var targetLabels = []string{"namespace", "pod", "job"}

// A family is a metric that can be asked for: its labels, and the values that each can have, or
// none if that is open.
type family map[string][]string

// exposed returns what an operator of role all serves at /metrics, by the names that expressions
// have. Of Sluice's own metrics it has the values of labels from the documentation, since an
// operator that has just been started does not show all of them.
func exposed(t *testing.T) map[string]family {
	t.Helper()
	families := map[string]family{"up": {}} // which Prometheus adds
	for _, metric := range scrapeOperator(t) {
		has := family{}
		for _, one := range metric.GetMetric() {
			for _, label := range one.GetLabel() {
				has[label.GetName()] = append(has[label.GetName()], label.GetValue())
			}
		}
		name := metric.GetName()
		switch metric.GetType() {
		case dto.MetricType_HISTOGRAM, dto.MetricType_SUMMARY:
			families[name+"_sum"], families[name+"_count"] = has, has
			if metric.GetType() == dto.MetricType_HISTOGRAM {
				bucket := family{"le": nil}
				maps.Copy(bucket, has)
				families[name+"_bucket"] = bucket
			}
		default:
			families[name] = has
		}
	}
	for name, values := range documented(t) {
		for _, suffix := range []string{"", "_sum", "_count", "_bucket"} {
			for label := range families[name+suffix] {
				if label != "le" {
					families[name+suffix][label] = values[label]
				}
			}
		}
	}
	return families
}

// scrapeOperator starts an operator of role all with a certificate, has it answer one request, and
// reads its metrics.
func scrapeOperator(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	namespace := env.Namespace(t)
	folder := t.TempDir()
	certificate, key, err := certutil.GenerateSelfSignedCertKey("localhost", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair := app.KeyPair{CertFile: filepath.Join(folder, "tls.crt"), KeyFile: filepath.Join(folder, "tls.key")}
	for file, content := range map[string][]byte{pair.CertFile: certificate, pair.KeyFile: key} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := app.DefaultOptions()
	o.WatchNamespaces, o.LeaderElectionNamespace = []string{namespace}, namespace
	o.IngestAddress, o.HealthAddress, o.MetricsAddress = "127.0.0.1:0", "127.0.0.1:0", testenv.FreeAddress(t)
	o.MetricsAccess = app.MetricsOpen
	o.TLS = pair
	o.Limits.ShutdownDelay = 0
	operator, err := app.NewOperator(t.Context(), env.Config, o, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- operator.Start(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the operator ended with: %v", err)
		}
	}()

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // it is signed by nobody
	defer client.CloseIdleConnections()
	get := func(url string) (*http.Response, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			return nil, err
		}
		return client.Do(request)
	}
	testenv.Eventually(t, patience, func() error {
		address := operator.Server.Address()
		if address == nil {
			return fmt.Errorf("the webhook server does not listen")
		}
		response, err := get("https://" + address.String() + "/hooks/default/nobody")
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
	var families map[string]*dto.MetricFamily
	testenv.Eventually(t, patience, func() error {
		response, err := get("http://" + o.MetricsAddress + "/metrics")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		parser := expfmt.NewTextParser(model.UTF8Validation)
		if families, err = parser.TextToMetricFamilies(response.Body); err != nil {
			return err
		}
		// A sweep is the last that happens: it takes the lease.
		for _, metric := range families["sluice_history_sweep_duration_seconds"].GetMetric() {
			if metric.GetHistogram().GetSampleCount() > 0 {
				return nil
			}
		}
		return fmt.Errorf("there was no sweep yet")
	})
	return families
}

// documented returns the values that labels of Sluice's own metrics can have, by metric and label,
// from the table in docs/operations.md, which is generated from the code.
func documented(t *testing.T) map[string]family {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `(sluice_\\w+)` \\| \\w+ \\| (.*?) \\|")
	code := regexp.MustCompile("`([^`]+)`")
	metrics := map[string]family{}
	for _, found := range row.FindAllSubmatch(page, -1) {
		labels := family{}
		for label := range strings.SplitSeq(string(found[2]), "; ") {
			name, values, _ := strings.Cut(label, ": ")
			for _, value := range code.FindAllStringSubmatch(values, -1) {
				labels[strings.Trim(name, "`")] = append(labels[strings.Trim(name, "`")], value[1])
			}
		}
		metrics[string(found[1])] = labels
	}
	if len(metrics) == 0 {
		t.Fatal("docs/operations.md has no table of metrics")
	}
	return metrics
}

// An expression stands in the alerts or in the dashboard.
type expression struct {
	where, text string
	legend      string // what the dashboard writes next to a series
}

// TestExpressions looks for the metrics of all expressions, their labels and the values of those,
// in what there is.
func TestExpressions(t *testing.T) {
	t.Parallel()
	families := exposed(t)
	expressions := append(alertExpressions(t), dashboardExpressions(t)...)
	used := map[string]bool{}
	for _, e := range expressions {
		t.Run(e.where, func(t *testing.T) { check(t, families, e, used) })
	}
	for name := range documented(t) {
		if !slices.ContainsFunc([]string{"", "_bucket", "_count"}, func(suffix string) bool { return used[name+suffix] }) {
			t.Errorf("neither the alerts nor the dashboard show %s", name)
		}
	}
}

var legendLabel = regexp.MustCompile(`{{(\w+)}}`)

// check checks one expression.
func check(t *testing.T, families map[string]family, e expression, used map[string]bool) {
	t.Helper()
	parsed, err := promQL.ParseExpr(e.text)
	if err != nil {
		t.Fatalf("%s: %v", e.text, err)
	}
	known := slices.Clone(targetLabels) // of the metrics in this expression
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		metric, ok := families[selector.Name]
		if !ok {
			t.Errorf("there is no metric %q", selector.Name)
			return nil
		}
		used[selector.Name] = true
		for label := range metric {
			known = append(known, label)
		}
		for _, matcher := range selector.LabelMatchers {
			if matcher.Name != model.MetricNameLabel {
				checkMatcher(t, selector.Name, metric, matcher)
			}
		}
		return nil
	})
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		var names []string
		switch n := node.(type) {
		case *parser.AggregateExpr:
			names = n.Grouping
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				names = slices.Concat(n.VectorMatching.MatchingLabels, n.VectorMatching.Include)
			}
		}
		for _, name := range names {
			if !slices.Contains(known, name) {
				t.Errorf("no metric of %q has the label %q", e.text, name)
			}
		}
		return nil
	})
	aggregate, aggregated := parsed.(*parser.AggregateExpr)
	for _, found := range legendLabel.FindAllStringSubmatch(e.legend, -1) {
		if !slices.Contains(known, found[1]) || aggregated && !slices.Contains(aggregate.Grouping, found[1]) {
			t.Errorf("the legend %q: what %q returns has no label %q", e.legend, e.text, found[1])
		}
	}
}

// checkMatcher checks what an expression wants of a label of a metric: each value that it names
// must be possible.
func checkMatcher(t *testing.T, name string, metric family, matcher *labels.Matcher) {
	t.Helper()
	values, ok := metric[matcher.Name]
	if !ok {
		if !slices.Contains(targetLabels, matcher.Name) {
			t.Errorf("%s has no label %q", name, matcher.Name)
		}
		return
	}
	if len(values) == 0 {
		t.Errorf("%s: nothing is known of the values of %q", name, matcher.Name)
	}
	wanted := []string{matcher.Value}
	if matcher.Type == labels.MatchRegexp || matcher.Type == labels.MatchNotRegexp {
		wanted = strings.Split(matcher.Value, "|")
	}
	for _, value := range wanted {
		if !slices.Contains(values, value) {
			t.Errorf("%s: %q is never %q, but one of %q", name, matcher.Name, value, values)
		}
	}
}

// alertExpressions returns the expressions of all alerts.
func alertExpressions(t *testing.T) []expression {
	t.Helper()
	var found []expression
	for _, rule := range readRules(t) {
		found = append(found, expression{where: rule.Alert, text: rule.Expr})
	}
	return found
}

// A dashboard is what of Grafana's JSON has expressions.
type dashboard struct {
	UID        string
	Templating struct {
		List []struct {
			Name, Type string
			Query      any // an object where the type is query, and the name of a type of data source otherwise
			Datasource struct{ UID string }
		}
	}
	Panels []struct {
		ID                       int
		Type, Title, Description string
		GridPos                  struct{ X, Y, W, H int }
		Datasource               struct{ UID string }
		Targets                  []struct {
			RefID, Expr, LegendFormat string
			Datasource                struct{ UID string }
		}
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(testenv.Root(), "charts", "sluice", "files", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d
}

// grafana puts values into expressions as Grafana does.
var grafana = strings.NewReplacer("$__rate_interval", "4m", "$namespace", "sluice-system", "$job", "sluice")

// dashboardExpressions returns the expressions of all panels and variables.
func dashboardExpressions(t *testing.T) []expression {
	t.Helper()
	var found []expression
	d := readDashboard(t)
	for _, variable := range d.Templating.List {
		if variable.Type != "query" {
			continue
		}
		object, _ := variable.Query.(map[string]any)
		query, _ := object["query"].(string)
		selector, ok := strings.CutPrefix(query, "label_values(")
		selector, label, hasLabel := strings.Cut(strings.TrimSuffix(selector, ")"), ", ")
		if !ok || !hasLabel {
			t.Fatalf("the variable %s asks for %q", variable.Name, query)
		}
		found = append(found, expression{
			where: "variable " + variable.Name, text: "count by (" + label + ") (" + grafana.Replace(selector) + ")",
		})
	}
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			found = append(found, expression{
				where: panel.Title + " " + target.RefID, text: grafana.Replace(target.Expr), legend: target.LegendFormat,
			})
			if strings.Contains(grafana.Replace(target.Expr), "$") {
				t.Errorf("panel %q uses a variable that there is not: %s", panel.Title, target.Expr)
			}
			if !strings.Contains(target.Expr, `namespace="$namespace",job=~"$job"`) {
				t.Errorf("panel %q shows more than what is chosen: %s", panel.Title, target.Expr)
			}
		}
	}
	return found
}

// TestDashboard checks what Grafana takes without a word: panels of one id or in one place, or of a
// fixed data source.
func TestDashboard(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	ids := map[int]bool{}
	const width = 24
	taken := map[[2]int]string{}
	for _, panel := range d.Panels {
		if ids[panel.ID] {
			t.Errorf("two panels have the id %d", panel.ID)
		}
		ids[panel.ID] = true
		at := panel.GridPos
		if at.X < 0 || at.X+at.W > width || at.W == 0 || at.H == 0 {
			t.Errorf("panel %q does not fit: %+v", panel.Title, at)
		}
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("panels %q and %q lie on each other", other, panel.Title)
				}
				taken[[2]int{x, y}] = cmp.Or(panel.Title, "without a title")
			}
		}
		if panel.Type == "row" {
			continue
		}
		if panel.Description == "" || len(panel.Targets) == 0 {
			t.Errorf("panel %q has no description or shows nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			if target.Datasource.UID != "${datasource}" || panel.Datasource.UID != "${datasource}" {
				t.Errorf("panel %q does not use the data source that is chosen", panel.Title)
			}
		}
	}
}
