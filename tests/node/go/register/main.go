// Has the kubelet's own code read its configuration of credential providers, once for each line on stdin, and says
// on stdout how that ends: what a kubelet would write to its journal, without starting one for every configuration.
//
//	{"config": "/etc/c.yaml", "binDir": "/bin"}    answers {"error": "…"}; without an error, it would start
//	{"pattern": "*.corp", "image": "a.corp/team"}  answers {"matches": true}
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	_ "unsafe" // for the linkname below

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/plugin"
)

// A kubelet registers its providers once in its life, so it remembers their names.
//
//go:linkname seenProviderNames k8s.io/kubernetes/pkg/credentialprovider/plugin.seenProviderNames
var seenProviderNames sets.String

type question struct {
	Config, BinDir, Pattern, Image string
}

type answer struct {
	Error   string `json:"error,omitempty"`
	Matches bool   `json:"matches,omitempty"`
}

func main() {
	log.SetFlags(0)
	questions := json.NewDecoder(bufio.NewReader(os.Stdin))
	answers := json.NewEncoder(os.Stdout)
	for questions.More() {
		var asked question
		if err := questions.Decode(&asked); err != nil {
			log.Fatal(err)
		}
		if err := answers.Encode(reply(asked)); err != nil {
			log.Fatal(err)
		}
	}
}

func reply(asked question) (given answer) {
	defer func() {
		if panicked := recover(); panicked != nil {
			given.Error = fmt.Sprint("panic: ", panicked)
		}
	}()
	var err error
	if asked.Config == "" {
		given.Matches, err = credentialprovider.URLsMatchStr(asked.Pattern, asked.Image)
	} else {
		seenProviderNames = sets.NewString()
		err = plugin.RegisterCredentialProviderPlugins(asked.Config, asked.BinDir, nil, nil)
	}
	if err != nil {
		given.Error = err.Error()
	}
	return given
}
