/**
 * Made by `npm run openapi` from what the relay says of itself. Not written by hand.
 */

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        Account: {
            admin: boolean;
            cred_ver: number;
            devices: components["schemas"]["Device"][];
            id: string;
            login: string;
            mkv: number;
            sessions: components["schemas"]["Session"][];
        };
        AdminHealth: {
            checks: components["schemas"]["Check"][];
            counts: {
                [key: string]: number;
            };
            now: number;
            version: string;
        };
        Attachment: {
            jws: string;
        };
        AuthDevice: {
            jws: string;
        };
        AuthFinish: {
            M1: string;
            sid: string;
        };
        AuthProof: {
            id: string;
            M2: string;
            token: string;
            until: number;
        };
        AuthSalt: {
            B?: string;
            salt: string;
            sid?: string;
        };
        AuthStart: {
            A?: string;
            login: string;
        };
        Base: {
            h: string;
            seq: number;
        };
        Card: {
            cert: string;
            ik: {
                [key: string]: string;
            };
        };
        Check: {
            name: string;
            ok: boolean;
            says: string;
        };
        CommitBody: {
            attach?: {
                [key: string]: string;
            };
            base?: components["schemas"]["Base"];
            entries: string[];
            idem: string;
            link?: string;
            msg?: string;
            sph?: string;
            wraps?: components["schemas"]["Wrap"][];
        };
        Committed: {
            h: string;
            msg_pos?: number;
            pos: number;
            seq: number;
            sph: string;
        };
        CredVer: {
            cred_ver: number;
        };
        Device: {
            active: boolean;
            added: number;
            cert: string;
            dv: string;
        };
        Done: Record<string, never>;
        Heads: {
            heads: components["schemas"]["Tail"][];
        };
        Health: {
            ok: boolean;
            why?: string;
        };
        Inbox: {
            head: number;
            items: components["schemas"]["InboxItem"][];
        };
        InboxItem: {
            entries?: string[];
            jws?: string;
            k: string;
            pos: number;
            sph: string;
        };
        InviteOpen: {
            open: boolean;
        };
        Item: {
            dv?: string;
            h?: string;
            jws?: string;
            k: string;
            pos: number;
            seq?: number;
        };
        Items: {
            head: number;
            items: components["schemas"]["Item"][];
        };
        JoinRow: {
            exp: number;
            h: string;
            jws: string;
        };
        Joins: {
            joins: components["schemas"]["JoinRow"][];
        };
        JoinState: {
            card?: components["schemas"]["Card"];
            state: string;
        };
        JoinTaken: {
            h: string;
        };
        KeyLogEntries: {
            entries: string[];
        };
        Limits: {
            body: number;
            entry: number;
            header: number;
            message: number;
            page: number;
            socket_frame: number;
            state_slot: number;
        };
        Link: {
            blob: string;
            n: number;
        };
        Links: {
            links: components["schemas"]["Link"][];
        };
        Log: {
            entries: string[];
            head: components["schemas"]["Base"];
        };
        NewAccount: {
            cert: string;
            idem: string;
            ik: string;
            join?: string;
            klog: string[];
            login: string;
            state: string;
            ticket?: string;
            v: string;
            ver: number;
            wMK: string;
            wRK: string;
        };
        NewDevice: {
            cert: string;
            klog: string;
        };
        NewJoin: {
            jws: string;
        };
        NewRoots: {
            cred_ver: number;
            mkv: number;
            slots: components["schemas"]["SlotIn"][];
            v?: string;
            ver?: number;
            wMK: string;
            wRK: string;
        };
        NewTicket: {
            seconds: number;
            uses: number;
        };
        Nonce: {
            exp: number;
            nonce: string;
            now: number;
        };
        PassOn: {
            jws: string;
            to: string[];
        };
        Pepper: {
            pep: string;
        };
        Position: {
            pos: number;
        };
        PostInbox: {
            jws: string;
            to: string[];
        };
        PutSlot: {
            bytes: string;
            ctr?: number;
            mkv: number;
        };
        Reached: {
            reached: number;
        };
        RevokeDevice: {
            klog: string;
        };
        Roots: {
            cred_ver: number;
            ik: string;
            mkv: number;
            ver: number;
            wMK: string;
            wRK: string;
        };
        Seen: {
            at: number;
            deleted: boolean;
            dv: string;
            h: string;
            jws: string;
            kind: string;
            pos: number;
            seq: number;
            size: number;
        };
        Send: {
            jws: string;
        };
        ServerInfo: {
            limits: components["schemas"]["Limits"];
            now: number;
            origins: string[];
            realm: string;
            setup: boolean;
            signup: string;
            versions: string[];
        };
        Session: {
            dv?: string;
            level: string;
            made: number;
            n: string;
            this: boolean;
            used: number;
        };
        Signup: {
            by_sphere: boolean;
            signup: string;
        };
        Slot: {
            bytes: string;
            ctr?: number;
            mkv: number;
            name: string;
        };
        SlotIn: {
            bytes: string;
            ctr?: number;
            mkv: number;
            name: string;
        };
        Slots: {
            more: boolean;
            slots: components["schemas"]["Slot"][];
        };
        Spheres: {
            spheres: string[];
        };
        Suspend: {
            suspended: boolean;
        };
        Tail: {
            dv: string;
            h: string;
            seq: number;
        };
        Ticket: {
            code?: string;
            exp: number;
            n: string;
            uses: number;
        };
        Tickets: {
            tickets: components["schemas"]["Ticket"][];
        };
        Token: {
            dv?: string;
            id: string;
            level: string;
            token: string;
            until: number;
        };
        User: {
            admin: boolean;
            created: number;
            devices: number;
            id: string;
            login: string;
            suspended: boolean;
        };
        Users: {
            users: components["schemas"]["User"][];
        };
        VaultEnrol: {
            dev: string;
            pep: string;
            tag: string;
            uk: string;
        };
        VaultNonce: {
            dev: string;
        };
        VaultOpen: {
            dev: string;
            nonce: string;
            sig: string;
            tag: string;
        };
        Wrap: {
            dv: string;
            jws: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
