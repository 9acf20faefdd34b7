// Says which connections the NetworkPolicies on stdin let through, by the policy engine of cyclonus: kind's own network
// does not enforce them. Reads {"policies": [...], "connections": [...]} and writes a list of {"out", "in"}.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	"k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

type peer struct {
	IP              string            `json:"ip"`
	Namespace       string            `json:"namespace"` // empty: outside of the cluster
	NamespaceLabels map[string]string `json:"namespaceLabels"`
	PodLabels       map[string]string `json:"podLabels"`
}

type connection struct {
	From     peer        `json:"from"`
	To       peer        `json:"to"`
	Port     int         `json:"port"` // the pod's, which a policy acts on; not the Service's
	PortName string      `json:"portName"`
	Protocol v1.Protocol `json:"protocol"`
}

type verdict struct {
	Out bool `json:"out"`
	In  bool `json:"in"`
}

func (p peer) matched() *matcher.TrafficPeer {
	if p.Namespace == "" {
		return &matcher.TrafficPeer{IP: p.IP}
	}
	inside := &matcher.InternalPeer{
		PodLabels: p.PodLabels, NamespaceLabels: p.NamespaceLabels, Namespace: p.Namespace,
	}
	return &matcher.TrafficPeer{IP: p.IP, Internal: inside}
}

func main() {
	var question struct {
		Policies    []*networkingv1.NetworkPolicy `json:"policies"`
		Connections []connection                  `json:"connections"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&question); err != nil {
		log.Fatal(err)
	}
	policy := matcher.BuildNetworkPolicies(false, question.Policies)
	verdicts := []verdict{}
	for _, c := range question.Connections {
		result := policy.IsTrafficAllowed(&matcher.Traffic{
			Source: c.From.matched(), Destination: c.To.matched(),
			ResolvedPort: c.Port, ResolvedPortName: c.PortName, Protocol: c.Protocol,
		})
		verdicts = append(verdicts, verdict{Out: result.Egress.IsAllowed(), In: result.Ingress.IsAllowed()})
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		log.Fatal(err)
	}
}
