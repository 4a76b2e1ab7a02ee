// The only program in the images of the node test: says that it runs, and waits to be stopped.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	name, _ := os.ReadFile("/image-name")
	fmt.Printf("running %s\n", name)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
}
