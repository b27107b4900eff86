/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// acceptTable asks the API server for metadata and printer columns. Plain JSON is for its errors.
const acceptTable = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

// The printer columns of a FlowRun that say what its metadata does not. They are found by name:
// their order, and whether kubectl shows them, are for people.
const (
	columnFlow      = "Flow"
	columnSize      = "Size"
	columnPayload   = "Payload"
	columnSucceeded = "Succeeded"
	columnCondition = "Condition"
	columnStarted   = "Started"
	columnCompleted = "Completed"
)

var columns = []string{columnFlow, columnSize, columnPayload, columnSucceeded, columnCondition, columnStarted, columnCompleted}

// A columnsError names printer columns that the CustomResourceDefinition lacks, because it is older
// than this program.
type columnsError []string

// Error implements error.
func (e columnsError) Error() string {
	return fmt.Sprintf("the CustomResourceDefinition of FlowRuns has no columns %q: apply the one of this version", []string(e))
}

// A pager reads the pages of the table of all FlowRuns. Rows are decoded one at a time: a page of
// runs with large annotations is large.
type pager struct {
	client rest.Interface
	size   int
	now    func() time.Time
}

// read calls visit for each run of a page, and returns the token of the next page; empty after the
// last one. The first page has no token. All namespaces are one to it if the namespace is empty.
func (p *pager) read(ctx context.Context, namespace, token string, visit func(*run)) (next string, err error) {
	request := p.client.Get().
		NamespaceIfScoped(namespace, namespace != "").
		Resource("flowruns").
		Param("includeObject", string(metav1.IncludeMetadata)).
		Param("limit", strconv.Itoa(p.size)).
		SetHeader("Accept", acceptTable).
		MaxRetries(0)
	if token != "" {
		request.Param("continue", token)
	}
	body, err := request.Stream(ctx)
	if err != nil {
		return "", err
	}
	defer body.Close()
	return decodeTable(body, p.now(), visit)
}

// decodeTable reads a metav1.Table.
func decodeTable(body io.Reader, now time.Time, visit func(*run)) (next string, err error) {
	decoder := json.NewDecoder(body)
	var meta metav1.ListMeta
	var cells map[string]int
	err = decodeFields(decoder, func(field string) error {
		switch field {
		case "metadata":
			return decoder.Decode(&meta)
		case "columnDefinitions":
			var definitions []metav1.TableColumnDefinition
			if err := decoder.Decode(&definitions); err != nil {
				return err
			}
			cells, err = findColumns(definitions)
			return err
		case "rows":
			if cells == nil {
				return columnsError(columns)
			}
			return decodeRows(decoder, cells, now, visit)
		}
		return decoder.Decode(new(json.RawMessage))
	})
	return meta.Continue, err
}

func findColumns(definitions []metav1.TableColumnDefinition) (map[string]int, error) {
	cells := map[string]int{}
	var missing columnsError
	for _, name := range columns {
		i := slices.IndexFunc(definitions, func(d metav1.TableColumnDefinition) bool { return d.Name == name })
		if i < 0 {
			missing = append(missing, name)
		}
		cells[name] = i
	}
	if missing != nil {
		return nil, missing
	}
	return cells, nil
}

// decodeFields calls decode for each field of an object, to read its value.
func decodeFields(decoder *json.Decoder, decode func(field string) error) error {
	if err := expect(decoder, json.Delim('{')); err != nil {
		return err
	}
	for decoder.More() {
		field, err := decoder.Token()
		if err != nil {
			return err
		}
		name, _ := field.(string) // which the decoder sees to
		if err := decode(name); err != nil {
			return err
		}
	}
	return expect(decoder, json.Delim('}'))
}

var errTable = errors.New("the answer is not a table")

func expect(decoder *json.Decoder, want json.Delim) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	if token != want {
		return errTable
	}
	return nil
}

// A row is what is read of a metav1.TableRow.
type row struct {
	Cells  []any
	Object struct {
		Metadata struct {
			Namespace, Name   string
			UID               types.UID
			ResourceVersion   string
			CreationTimestamp metav1.Time
			DeletionTimestamp *metav1.Time
			Labels            map[string]string
			Annotations       map[string]string
		}
	}
}

func decodeRows(decoder *json.Decoder, cells map[string]int, now time.Time, visit func(*run)) error {
	token, err := decoder.Token()
	if err != nil || token == nil { // null means none
		return err
	}
	if token != json.Delim('[') {
		return errTable
	}
	for decoder.More() {
		var r row
		if err := decoder.Decode(&r); err != nil {
			return err
		}
		visit(r.run(cells, now))
	}
	return expect(decoder, json.Delim(']'))
}

// run makes of a row what it says of a FlowRun.
func (r *row) run(cells map[string]int, now time.Time) *run {
	cell := func(column string) any {
		if i := cells[column]; i < len(r.Cells) {
			return r.Cells[i]
		}
		return nil
	}
	text := func(column string) string {
		s, _ := cell(column).(string) // a cell without a value is null
		return s
	}
	meta := &r.Object.Metadata
	made := &run{
		namespace:       meta.Namespace,
		name:            meta.Name,
		uid:             meta.UID,
		resourceVersion: meta.ResourceVersion,
		flow:            text(columnFlow),
		trigger:         meta.Labels[sluicev1alpha1.LabelTrigger],
		signedBy:        meta.Annotations[sluicev1alpha1.AnnotationSignedBy],
		created:         meta.CreationTimestamp.Time,
		payload:         cell(columnSize) != float64(0) && text(columnPayload) != string(sluicev1alpha1.PayloadDropped),
	}
	completed, conclusion := text(columnCompleted), text(columnSucceeded)
	switch {
	case meta.DeletionTimestamp != nil:
		made.state = deleting
	case completed != "" && conclusion == string(metav1.ConditionTrue):
		made.state = succeeded
	case completed != "":
		made.state = failed
	case conclusion != "" || text(columnCondition) != "" || text(columnStarted) != "":
		made.state = active
	default:
		made.state = received
	}
	if made.over() {
		made.finished = finishTime(completed, made.created, now)
	}
	if annotation, ok := meta.Annotations[sluicev1alpha1.AnnotationRetainUntil]; ok {
		made.retainUntil = retention(annotation, made.created)
	}
	return made
}
