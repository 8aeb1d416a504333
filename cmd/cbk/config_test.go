package main

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"cbk/cassandra/cluster"
)

func TestEverySettingOfTheFileHasAKeyOfItsOwn(t *testing.T) {
	var keys []string
	for key, v := range (&config{}).keys() {
		if slices.Contains(keys, key) {
			t.Errorf("%s is there twice", key)
		}
		keys = append(keys, key)
		switch v.Interface().(type) {
		case string, []string, int, bool, time.Duration, []cluster.NodeConfig:
		default:
			t.Errorf("%s is a %s, which config show may not know how to show", key, v.Type())
		}
	}
	for _, want := range []string{"repository", "cassandra.config", "cassandra.jmx.ssl_properties", "cassandra.cql.ca_file", "cluster.ssh.timeout", "cluster.nodes"} {
		if !slices.Contains(keys, want) {
			t.Errorf("no %s among %q", want, keys)
		}
	}
}

func TestTheNodeGetsEverySettingOfItsSection(t *testing.T) {
	c := &config{}
	for _, v := range c.keys() {
		switch v.Kind() {
		case reflect.String:
			v.SetString("x")
		case reflect.Int:
			v.SetInt(7)
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Slice:
			if list, ok := v.Addr().Interface().(*[]string); ok {
				*list = []string{"x"}
			}
		}
	}
	var empty func(string, reflect.Value)
	empty = func(name string, v reflect.Value) {
		if v.Kind() == reflect.Struct {
			for i := range v.NumField() {
				empty(name+"."+v.Type().Field(i).Name, v.Field(i))
			}
		} else if v.IsZero() {
			t.Errorf("%s is not set by any key", name)
		}
	}
	empty("node.Config", reflect.ValueOf(c.node()))
}
