package repo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"cbk/repo/roles"
	"cbk/repo/store"
)

// ErrUnfinishedInit means that key objects stand where no config does: an init is under way, or died.
var ErrUnfinishedInit = errors.New("an unfinished init is in the way")

// Init makes a repository in an empty place, with a slot for its owner by each wrapping. The config is written last:
// without it there is no repository. Errors match ErrRepositoryExists or ErrUnfinishedInit.
func Init(ctx context.Context, st store.Store, settings Settings, slots ...roles.Wrapping) error {
	if err := vacant(ctx, st); err != nil {
		return err
	}
	objects, err := found(settings, slots)
	if err != nil {
		return err
	}
	for _, o := range objects {
		err := st.Create(ctx, o.Name, o.Data)
		switch {
		case errors.Is(err, store.ErrExists) && o.Name == configName:
			return ErrRepositoryExists
		case errors.Is(err, store.ErrExists):
			return fmt.Errorf("%s is there: %w", o.Name, errors.Join(vacant(ctx, st), ErrUnfinishedInit))
		case err != nil:
			return err
		}
	}
	return nil
}

func vacant(ctx context.Context, st store.Store) error {
	_, err := st.Stat(ctx, configName)
	if err == nil {
		return ErrRepositoryExists
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

// found returns the objects of a new repository in the order of their writing. The genesis of the trust log claims the
// place: of several inits at once one goes on, and the others leave nothing. Slots and grants follow, then the rest of
// the log, then the config.
func found(settings Settings, slots []roles.Wrapping) ([]roles.Object, error) {
	if err := settings.Check(); err != nil {
		return nil, err
	}
	if len(slots) == 0 {
		return nil, errors.New("a repository without a slot for its owner")
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	var id [16]byte
	rand.Read(id[:])
	owner, statements, err := roles.Create(id, text)
	if err != nil {
		return nil, err
	}
	objects, statements := statements[:1:1], statements[1:]
	for _, w := range slots {
		_, more, err := owner.AddSlot(roles.RoleOwner, w)
		if err != nil {
			return nil, err
		}
		for _, o := range more {
			if Classify(o.Name) == KindTrust {
				statements = append(statements, o)
			} else {
				objects = append(objects, o)
			}
		}
	}
	config, err := encodeConfig(newIdentity(id, owner.Trust().Owner()), owner)
	objects = append(objects, statements...)
	return append(objects, roles.Object{Name: configName, Data: config}), err
}

// DiscardUnfinishedInit removes what an init that died has left. It refuses where a config stands, with
// ErrRepositoryExists.
func DiscardUnfinishedInit(ctx context.Context, st store.Store) error {
	if err := vacant(ctx, st); err != nil {
		return err
	}
	var names []string
	for _, prefix := range []string{keyPrefix, trustPrefix} {
		err := st.List(ctx, prefix, func(i store.Info) error {
			if k := Classify(i.Name); k == KindKey || k == KindTrust {
				names = append(names, i.Name)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := st.Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
