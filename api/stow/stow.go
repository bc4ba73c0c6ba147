// Package stow sends instances to another institution's DICOMweb server by STOW-RS (PS3.18
// 10.5) and reads what it answers about each. It holds one part of one instance at a time.
package stow

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Sender sends to one server.
type Sender struct {
	Root   string        // required: of its DICOMweb services, as https://pacs.example/dicomweb
	Client *http.Client  // required: from transport
	Token  string        // bearer token it asks for; "": none
	Tries  int           // how often a batch is sent at most; default 4
	Pause  time.Duration // before the second try, twice that before the third; default 1 s
}

// Instance is one that is to be sent. Open is called once a try.
type Instance struct {
	UID  string // SOP Instance UID
	Open func(context.Context) (io.ReadCloser, error)
}

// Answer is what the server said of an instance.
type Answer struct {
	Stored bool
	Reason int    // Failure or Warning Reason; 0: none given
	Error  string // where it said nothing: "unreachable", "refused", "no-answer" or "damaged"
}

// Send sends a batch and answers for each instance, in their order.
// What the server did not answer for is sent again, with pauses, as long as that may help.
// Only the end of ctx is an error; the answers are those that came until then.
func (s *Sender) Send(ctx context.Context, batch []Instance) ([]Answer, error) {
	answers := make([]Answer, len(batch))
	tries, pause := cmp.Or(s.Tries, 4), cmp.Or(s.Pause, time.Second)
	left := make([]int, len(batch))
	for i := range left {
		left[i] = i
	}
	for try := 1; len(left) > 0; try++ {
		said, again := s.send(ctx, batch, left)
		var open []int
		for _, i := range left {
			answer, known := said.of(batch[i].UID)
			answers[i] = answer
			if !known && again {
				open = append(open, i)
			}
		}
		if left = open; len(left) == 0 || try == tries {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause << (try - 1)):
		}
		if ctx.Err() != nil {
			break
		}
	}
	return answers, ctx.Err()
}

// response is what came back for one request.
type response struct {
	answers   map[string]Answer
	otherwise Answer
}

func (r response) of(uid string) (a Answer, known bool) {
	if a, known = r.answers[uid]; known {
		return a, true
	}
	return r.otherwise, false
}

// errSource: an instance could not be read whole, which is not the server's fault.
var errSource = errors.New("an instance could not be read")

// send makes one request. again: trying once more may help.
func (s *Sender) send(ctx context.Context, batch []Instance, which []int) (said response, again bool) {
	body, w := io.Pipe()
	boundary := rand.Text()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(s.Root, "/")+"/studies", body)
	if err != nil {
		return response{otherwise: Answer{Error: "unreachable"}}, false
	}
	req.Header.Set("Content-Type", `multipart/related; type="application/dicom"; boundary=`+boundary)
	req.Header.Set("Accept", "application/dicom+json")
	if s.Token != "" {
		req.Header.Set("Authorization", "Bearer "+s.Token)
	}
	wrote := make(chan error, 1)
	go func() {
		err := write(ctx, w, boundary, batch, which)
		w.CloseWithError(err) // nil: the end
		wrote <- err
	}()
	client := *s.Client // it goes where the register says and nowhere else, with no token either
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	body.Close() // lets the writer go where the server did not want it all
	source := <-wrote
	if errors.Is(source, errSource) {
		if err == nil {
			resp.Body.Close()
		}
		return response{otherwise: Answer{Error: "damaged"}}, true
	}
	if err != nil {
		return response{otherwise: Answer{Error: "unreachable"}}, ctx.Err() == nil
	}
	defer resp.Body.Close()
	return read(resp)
}

// write streams the parts. It is ended by the reader of the pipe.
func write(ctx context.Context, w io.Writer, boundary string, batch []Instance, which []int) error {
	for n, i := range which {
		head := "--" + boundary + "\r\nContent-Type: application/dicom\r\n\r\n"
		if n > 0 {
			head = "\r\n" + head
		}
		if _, err := io.WriteString(w, head); err != nil {
			return err
		}
		r, err := batch[i].Open(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", errSource, err)
		}
		_, err = io.Copy(w, sourced{r})
		r.Close()
		if err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "\r\n--"+boundary+"--\r\n")
	return err
}

// sourced marks what fails on our side.
type sourced struct{ io.Reader }

func (s sourced) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: %w", errSource, err)
	}
	return n, err
}

// maxAnswer bounds what is read of an answer: some kilobytes an instance.
const maxAnswer = 16 << 20

// read takes a Store Instances Response (PS3.18 10.5.3), in JSON.
func read(resp *http.Response) (said response, again bool) {
	again = resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout
	said = response{answers: make(map[string]Answer), otherwise: Answer{Error: "no-answer"}}
	if resp.StatusCode >= 300 && resp.StatusCode != http.StatusConflict {
		said.otherwise.Error = "refused"
	}
	var answer dataset
	if json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer) != nil {
		return said, again // of another form: nothing is known of any instance
	}
	for _, item := range answer.items("00081199") {
		said.answers[item.text("00081155")] = Answer{Stored: true, Reason: item.number("00081196")}
	}
	for _, item := range answer.items("00081198") {
		reason := item.number("00081197")
		// Processing failure and lack of resources may pass; anything else is an answer.
		if !again || reason != 0x0110 && reason != 0xA700 {
			said.answers[item.text("00081155")] = Answer{Reason: reason}
		}
	}
	return said, again
}

// dataset is an object of the DICOM JSON model (PS3.18 F.2).
type dataset map[string]struct{ Value []json.RawMessage }

func (d dataset) items(tag string) (all []dataset) {
	for _, raw := range d[tag].Value {
		var item dataset
		if json.Unmarshal(raw, &item) == nil {
			all = append(all, item)
		}
	}
	return all
}

func (d dataset) text(tag string) (s string) {
	if values := d[tag].Value; len(values) > 0 && json.Unmarshal(values[0], &s) != nil {
		return ""
	}
	return strings.TrimRight(s, "\x00 ")
}

func (d dataset) number(tag string) int {
	values := d[tag].Value
	if len(values) == 0 {
		return 0
	}
	n, err := strconv.Atoi(strings.Trim(string(values[0]), `"`))
	if err != nil {
		return 0
	}
	return n
}
