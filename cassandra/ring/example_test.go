package ring_test

import (
	"fmt"
	"log"
	"strings"

	"cbk/cassandra/ring"
)

// ringOf is a ring of one data centre with a node in each of the racks.
func ringOf(hosts string, replication map[string]string, racks ...string) ring.Ring {
	r := ring.Ring{Cluster: "shop", Partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
		Replication: map[string]map[string]string{"orders": replication}}
	for i, rack := range racks {
		r.Members = append(r.Members, ring.Member{HostID: fmt.Sprint(hosts, i+1), Address: fmt.Sprint(hosts, ".", i+1),
			DC: "dc1", Rack: rack, State: ring.Normal, Tokens: []string{fmt.Sprint(100 * (i + 1))}})
	}
	return r
}

// A host list sends four nodes to a ring whose second and third node stand in one
// rack: some rows would not be where Cassandra looks for them.
func ExampleReplicasKept() {
	list, err := ring.ReadHostList(strings.NewReader("True,new.1,old.1\nFalse,new.2,old.2\nFalse,new.3,old.3\nFalse,new.4,old.4\n"))
	if err != nil {
		log.Fatal(err)
	}
	source, err := ringOf("old", map[string]string{"class": "NetworkTopologyStrategy", "dc1": "2"}, "r1", "r2", "r1", "r2").Topology()
	if err != nil {
		log.Fatal(err)
	}
	target := ringOf("new", nil, "ra", "rb", "rb", "ra")
	mapping, err := ring.MapHosts(source, list, ring.HostOptions{Target: target.Members})
	if err != nil {
		log.Fatal(err)
	}
	after, err := mapping.After(source, target)
	if err != nil {
		log.Fatal(err)
	}
	will, err := after.Topology()
	if err != nil {
		log.Fatal(err)
	}
	differences, err := ring.ReplicasKept(source, will, []string{"orders"}, mapping)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(differences)
	for i, batch := range mapping.Batches(2) {
		for _, a := range batch {
			fmt.Printf("batch %d: %s takes %s\n", i+1, a.Target, a.Source.Address)
		}
	}
	// Output:
	// keyspace orders: the replicas of 2 of 4 ranges would differ
	// (100,200] of orders: rows would be on new.2, new.3, looked for on new.2, new.4
	// (300,400] of orders: rows would be on new.4, new.1, looked for on new.4, new.2
	// batch 1: new.1 takes old.1
	// batch 2: new.2 takes old.2
	// batch 2: new.3 takes old.3
	// batch 3: new.4 takes old.4
}
